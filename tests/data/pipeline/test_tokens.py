"""Token shards of a run: whole repositories and single records, in an order that nothing but names and the seed decides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from pipeline_world import python, write

from starloom.contract.shards import Shards
from starloom.contract.tokenizer import Tokenizer
from starloom.core.errors import InputError
from starloom.data.mixture import Mixture
from starloom.data.pipeline.run import Finished, run
from starloom.data.pipeline.settings import DataSettings, LicenceSettings, TokenSettings
from starloom.data.pipeline.stages import expressible

_TEXTS = {name: python(name, 3) for name in ("plum", "pear", "fig", "quince")}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("tokenizer")
    Tokenizer.train([*_TEXTS.values(), 'print("caf\u00e9 <>{}") # 0123456789'] * 3, 400).save(folder)
    return str(folder)


@pytest.fixture(scope="module")
def settings(tokenizer: str, tmp_path_factory: pytest.TempPathFactory) -> DataSettings:
    root = tmp_path_factory.mktemp("sources")
    write(root / "one", {"plum.py": _TEXTS["plum"], "deep/pear.py": _TEXTS["pear"]})
    write(root / "two", {"fig.py": _TEXTS["fig"], "odd.py": _TEXTS["quince"]})
    return DataSettings(
        sources=(str(root / "one"), str(root / "two")),
        shard_bytes=1,
        buckets=2,
        parse=False,
        licences=LicenceSettings(keep_unlicensed=True),
        tokens=TokenSettings(tokenizer=tokenizer, metadata_probability=1.0),
    )


def _texts(out: Path, finished: Finished) -> list[str]:
    tokenizer = Tokenizer.open(out / "tokenizer")
    shards = Shards.open(out / "tokens" / "train", tokenizer)
    assert len(shards) == finished.tokens["train"].tokens
    ids = shards.read(0, len(shards))
    whole = tokenizer.decode(ids.tolist(), special=True)
    return whole.split("<|endoftext|>")[:-1]


def test_sequences_are_whole_repositories_with_their_names(settings: DataSettings, tmp_path: Path) -> None:
    finished = run(settings, str(tmp_path / "out"), workers=0)
    texts = {text.split("<file_sep>")[0]: text for text in _texts(tmp_path / "out", finished)}
    assert set(texts) == {"<repo_name>one", "<repo_name>two"}
    assert sorted(texts["<repo_name>one"].split("<file_sep>")[1:]) == sorted(
        [f"plum.py\n{_TEXTS['plum']}", f"deep/pear.py\n{_TEXTS['pear']}"]
    )
    assert (finished.tokens["train"].sequences, finished.tokens["train"].documents) == (2, 4)


def test_what_the_tokenizer_cannot_say_is_dropped_with_its_bytes(tokenizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = SimpleNamespace(tokenizer=SimpleNamespace(missing_bytes=frozenset({0xF1, 0xC0})))
    monkeypatch.setattr(expressible, "contract_at", lambda place: lacking)
    names = {"repository": ["r"] * 4, "path": ["p"] * 4}
    texts = {
        "text": ["good", "bad \U00050000", "was bad \U00050000", "bad \U00050000"],
        "redacted_text": [None, None, "now", None],
    }
    found = expressible.expressible_step(tokenizer).function(pa.table({**names, **texts, "kept": [True, True, True, False]}))
    assert found.column("dropped").to_pylist() == [None, "bytes that the tokenizer lacks", None, None]
    assert found.column("detail").to_pylist() == [None, "0xF1", None, None]


def test_workers_and_order_of_sources_change_no_token(settings: DataSettings, tmp_path: Path) -> None:
    run(settings, str(tmp_path / "one"), workers=0)
    run(replace(settings, sources=settings.sources[::-1]), str(tmp_path / "two"), workers=2)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one" / "tokens").rglob("*") if path.is_file())
    assert files
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_the_mixture_decides_how_often_a_file_is_taken(settings: DataSettings, tmp_path: Path) -> None:
    twice = replace(settings, tokens=replace(settings.tokens, mixture=Mixture(language_weights={"Python": 2.0})))
    finished = run(twice, str(tmp_path / "out"), workers=0)
    assert finished.tokens["train"].documents == 8
    none = replace(settings, tokens=replace(settings.tokens, mixture=Mixture(source_weights={"file": 0.0})))
    finished = run(none, str(tmp_path / "out"), workers=0)
    assert finished.tokens["train"].documents == 0
    assert finished.report.kept.files == 4


def test_a_missing_tokenizer_is_named(settings: DataSettings, tmp_path: Path) -> None:
    lost = replace(settings, tokens=TokenSettings(tokenizer=str(tmp_path / "nowhere")))
    with pytest.raises(InputError, match="nowhere"):
        run(lost, str(tmp_path / "out"), workers=0)
