"""Examples are real lines, put back together exactly, balanced and the same on every run."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starloom.core.errors import InputError, SettingsError
from starloom.evaluate import examples
from starloom.evaluate.infilling import KINDS, Kind

Documents = list[tuple[str, str, str]]

LINES = st.lists(st.sampled_from(["", "x = 1", "    return é", "\tpass", ")", "   ", "# 例", "a", "b = '\x0c'  "]), max_size=24)


@pytest.mark.parametrize("kind", KINDS)
def test_prefix_middle_and_suffix_are_the_file(documents: Documents, kind: Kind) -> None:
    texts = {(repository, path): text for repository, path, text in documents}
    for example in examples(documents, kind=kind, count=60):
        text = texts[example.repository, example.path]
        assert example.prefix + example.middle.encode() + example.suffix == text.encode()
        line = text.split("\n")[example.line - 1].removesuffix("\r")
        assert line.endswith(example.middle)
        assert any(map(str.isalnum, line))
        assert example.prefix.count(b"\n") == example.line - 1 >= 5
        assert example.suffix.removesuffix(b"\n").count(b"\n") >= 3


@given(texts=st.lists(LINES, min_size=1, max_size=4), crlf=st.booleans(), kind=st.sampled_from(KINDS), seed=st.integers(0, 9))
def test_any_file_is_cut_inside_one_line(texts: list[list[str]], crlf: bool, kind: Kind, seed: int) -> None:
    end = "\r\n" if crlf else "\n"
    documents = [("repo", f"{number}.py", end.join(lines)) for number, lines in enumerate(texts)]
    try:
        found = examples(documents, kind=kind, count=3, seed=seed)
    except InputError:
        return
    for example in found:
        assert "\n" not in example.middle
        assert example.middle.strip()
        before = example.prefix.decode().split("\n")[-1]
        assert bool(before.strip()) == (kind == "line_end")
        assert example.suffix.startswith(end.encode())


def test_a_line_begins_behind_its_indentation(documents: Documents) -> None:
    for example in examples(documents, kind="line", count=40):
        assert example.middle == example.middle.lstrip()
        assert example.prefix.decode().split("\n")[-1].strip() == ""


def test_repositories_take_turns_whatever_their_size(documents: Documents) -> None:
    counts = Counter(example.repository for example in examples(documents, kind="line", count=60))
    assert counts == {"team/large": 20, "team/small": 20, "team/windows": 20}


def test_files_of_a_repository_take_turns(documents: Documents) -> None:
    found = examples([document for document in documents if document[0] == "team/large"], kind="line_end", count=30)
    assert len({example.path for example in found}) == 30


@pytest.mark.parametrize("kind", KINDS)
def test_order_of_documents_does_not_matter_but_the_seed_does(documents: Documents, kind: Kind) -> None:
    found = examples(documents, kind=kind, count=50, seed=1)
    assert examples(documents[::-1], kind=kind, count=50, seed=1) == found
    assert examples(documents, kind=kind, count=50, seed=2) != found
    assert examples(documents, kind=kind, count=20, seed=1) == found[:20]


def test_no_line_comes_twice(documents: Documents) -> None:
    found = examples(documents[:1], kind="line", count=150)
    assert len({(example.path, example.line) for example in found}) == 150


def test_too_few_lines_say_how_many_there_are(documents: Documents) -> None:
    with pytest.raises(InputError, match="only 30 lines to complete, and 5000 are asked for"):
        examples([document for document in documents if document[0] == "team/small"], kind="line", count=5000)
    with pytest.raises(InputError, match="only 0 lines"):
        examples([], kind="line", count=1)


def test_bad_settings_are_named(documents: Documents) -> None:
    with pytest.raises(SettingsError, match="kind is 'lines'; it must be one of line, line_end"):
        examples(documents, kind="lines", count=1)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="count is 0"):
        examples(documents, kind="line", count=0)
