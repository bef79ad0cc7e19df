"""Placeholders of redaction are special tokens in training data; the same characters in a file never are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline_world import MIT, python, write

from starloom.contract.contract import Contract, SourceFile
from starloom.contract.shards import Shards
from starloom.contract.tokenizer import Tokenizer
from starloom.contract.tokens import SPECIAL_TOKENS
from starloom.data.pipeline.run import run
from starloom.data.pipeline.settings import DataSettings, LicenceSettings, TokenSettings
from starloom.data.pipeline.stages.redaction import placeholders
from starloom.redaction import Finding, Kind, redact
from starloom.redaction.replacement import replaced, replacements

_MAIL = '\nAUTHOR = "jane.doe@some-company.com"  # write <EMAIL> or <NAME> here\nOTHER = "john@other-company.com"\n'
_GUIDE = "A guide to the garden.\n\nWrite to jane.doe@some-company.com, or put your <EMAIL> here, and <file_sep> too.\n"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([python("mail"), _MAIL, _GUIDE, "café <>{} 0123456789"] * 3, 400)


@pytest.fixture(scope="module")
def out(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("placeholders")
    tokenizer.save(root / "tokenizer")
    code = write(root / "code", {"LICENSE": MIT, "deep/mail.py": "# <EMAIL> café\n" + python("mail") + _MAIL})
    write(root / "pages", {"LICENSE": MIT, "guide.md": _GUIDE})
    pages = f'{{"kind": "documentation", "path": "{root / "pages"}"}}'
    tokens = TokenSettings(tokenizer=str(root / "tokenizer"), metadata_probability=1.0)
    settings = DataSettings(sources=(str(code), pages), parse=False, licences=LicenceSettings(), tokens=tokens)
    run(settings, str(root / "out"), workers=0)
    return root / "out"


def test_only_what_was_redacted_is_a_special_token(out: Path, tokenizer: Tokenizer) -> None:
    shards = Shards.open(out / "tokens" / "train", tokenizer)
    ids = shards.read(0, len(shards)).tolist()
    text = tokenizer.decode(ids, special=True)
    assert "some-company" not in text
    assert "other-company" not in text
    assert text.count("<EMAIL>") == 6
    assert ids.count(tokenizer.special_ids["<EMAIL>"]) == 3
    assert ids.count(tokenizer.special_ids["<NAME>"]) == 0
    assert text.count("<file_sep>") - ids.count(tokenizer.special_ids["<file_sep>"]) == 1, "the word in the guide is a user's"
    plain = tokenizer.decode(ids)
    assert 'AUTHOR = ""  # write <EMAIL> or <NAME> here\nOTHER = ""' in plain
    assert "Write to , or put your <EMAIL> here" in plain


def test_documents_tell_where_placeholders_are(out: Path) -> None:
    (path,) = (out / "documents").glob("*.parquet")
    for row in pq.read_table(path, columns=["text", "placeholders"]).to_pylist():
        assert row["placeholders"]
        assert all(row["text"].startswith("<EMAIL>", place) for place in row["placeholders"])


@given(st.data())
def test_places_are_those_of_the_replacements(data: Any) -> None:
    text = data.draw(st.text(max_size=40))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=8)))
    ends = list(zip(cuts[::2], cuts[1::2], strict=False))
    kinds = data.draw(st.lists(st.sampled_from(list(Kind)), min_size=len(ends), max_size=len(ends)))
    found = [Finding(start, end, kind, text[start:end], "r") for (start, end), kind in zip(ends, kinds, strict=True)]
    new = replacements(found)
    places = placeholders(found, new)
    assert len(places) == sum(kind is not Kind.IP_ADDRESS for kind in kinds)
    whole, marked = replaced(text, found), [value for value in new if value.startswith("<")]
    assert [whole[place : place + len(value)] for place, value in zip(places, marked, strict=True)] == marked


def test_addresses_are_ordinary_text() -> None:
    redacted = redact("HOST = '93.184.216.34'  # ask jane.doe@some-company.com\n", betterleaks=False)
    assert [str(found.kind) for found in redacted.findings] == ["IP_ADDRESS", "EMAIL"]
    (place,) = placeholders(redacted.findings, replacements(redacted.findings))
    assert redacted.text.startswith("<EMAIL>", place)


@given(
    st.lists(
        st.tuples(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), st.sampled_from(SPECIAL_TOKENS)), max_size=6
    )
)
def test_every_special_token_can_be_marked(tokenizer: Tokenizer, parts: list[tuple[str, str]]) -> None:
    text, places = "", []
    for plain, token in parts:
        text += plain
        places.append(len(text))
        text += token
    ids = tokenizer.encode_marked(text, places)
    assert tokenizer.decode(ids, special=True) == text
    assert [id_ for id_ in ids if tokenizer.is_special(id_)] == [tokenizer.special_ids[token] for _, token in parts]
    assert not any(map(tokenizer.is_special, tokenizer.encode_marked(text, ())))


def test_places_count_from_the_text_and_not_from_the_path(tokenizer: Tokenizer) -> None:
    contract = Contract(tokenizer)
    file = SourceFile("deep/a.py", "<KEY> <KEY>\n", (6,))
    for repository in (None, "own/er"):
        ids = contract.repository_ids([file, SourceFile("b.py", "x = 1\n")], repository=repository)
        assert ids.count(tokenizer.special_ids["<KEY>"]) == 1
        assert "<KEY> \n" in tokenizer.decode(ids)
