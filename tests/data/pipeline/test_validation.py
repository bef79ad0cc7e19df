"""Repositories held out for validation: which ones, what becomes of files that repeat theirs, and training on a run's output."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from pipeline_world import MIT, python, write

from starloom.contract.shards import Shards
from starloom.contract.tokenizer import Tokenizer
from starloom.core.errors import PipelineError, SettingsError
from starloom.data.documents import read_documents
from starloom.data.mixture import Mixture
from starloom.data.pipeline.card import card
from starloom.data.pipeline.finished import FinishedRun
from starloom.data.pipeline.inspection import Filter, inspect
from starloom.data.pipeline.run import run
from starloom.data.pipeline.settings import DataSettings, TokenSettings, ValidationSettings
from starloom.data.pipeline.stages.split import split_steps
from starloom.data.pipeline.statistics import statistics


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> DataSettings:
    """Three repositories in shards of their own; the last in the order of names repeats files of the others."""
    root = tmp_path_factory.mktemp("sources")
    plums, pears = python("plums", 6), python("pears", 6)
    write(root / "alpha", {"LICENSE": MIT, "plums.py": plums, "alone.py": python("alone", 6)})
    write(root / "beta", {"LICENSE": MIT, "near.py": pears.replace("number 3", "position three"), "figs.py": python("figs", 6)})
    write(root / "zope_Tools", {"LICENSE": MIT, "copy.py": plums, "pears.py": pears})
    sources = tuple(str(root / name) for name in ("alpha", "beta", "zope_Tools"))
    return DataSettings(sources=sources, shard_bytes=1, buckets=2, parse=False)


def _reasons(out: Path) -> dict[str, str | None]:
    rows = inspect(FinishedRun(str(out)), Filter(language="Python"), 99)
    return {f"{row['repository']}/{row['path']}": row["reason"] for row in rows}


def _documents(folder: Path) -> set[str]:
    return {f"{document.repository}/{document.path}" for document in read_documents(folder)}


def test_a_training_file_that_repeats_a_held_out_one_goes(settings: DataSettings, tmp_path: Path) -> None:
    run(settings, str(tmp_path / "plain"), workers=0)
    before = _reasons(tmp_path / "plain")
    assert (before["alpha/plums.py"], before["zope_Tools/copy.py"]) == (None, "exact duplicate")
    assert (before["beta/near.py"], before["zope_Tools/pears.py"]) == (None, "near duplicate")
    for name, gone in (
        ("zope.tools", {"alpha/plums.py", "beta/near.py"}),
        ("BETA", {"zope_Tools/copy.py", "zope_Tools/pears.py"}),
    ):
        out = tmp_path / name
        report = run(replace(settings, validation=ValidationSettings((name,))), str(out), workers=0).report
        reasons = _reasons(out)
        assert {file for file, reason in reasons.items() if reason} == gone
        held_out = {file for file in reasons if file.startswith("zope_Tools/" if name == "zope.tools" else "beta/")}
        assert _documents(out / "validation_documents") == held_out - gone
        assert _documents(out / "documents") == reasons.keys() - held_out - gone
        assert report.kept.files == 4
        assert report.held_out.files == 2
        assert report.line()["held_out"] == 2
        finished = FinishedRun(str(out))
        assert "2 documents (0.0 MB) of whole repositories are held out" in card(finished, statistics(finished), plots=False)


@pytest.mark.parametrize(("name", "hint"), [("zope-tool", "did you mean zope_Tools"), ("quince", "not among the sources$")])
def test_a_name_that_is_not_there_is_an_error(name: str, hint: str, settings: DataSettings, tmp_path: Path) -> None:
    wrong = replace(settings, validation=ValidationSettings(("alpha", name)))
    with pytest.raises(PipelineError, match=f"the validation repository '{name}' is not among the sources.*{hint}|{hint}"):
        run(wrong, str(tmp_path / "out"), workers=0)
    assert not (tmp_path / "out" / "text").exists()


def test_a_source_that_cannot_be_read_may_be_the_one_named(settings: DataSettings, tmp_path: Path) -> None:
    (tmp_path / "lost-1.0.zip").write_bytes(b"no archive")
    more = replace(settings, sources=(*settings.sources[:1], str(tmp_path / "lost-1.0.zip")))
    held_out = replace(more, validation=ValidationSettings(("Lost",)))
    assert run(held_out, str(tmp_path / "out"), workers=0).report.held_out.files == 0


def test_a_share_is_drawn_by_names_alone() -> None:
    def drawn(names: list[str], share: float, kind: str = "file", seed: int = 0) -> set[str]:
        (step,) = split_steps(ValidationSettings(share=share), seed)
        paths = [f"{number}.py" for number in range(len(names))]
        table = pa.table({"repository": names, "path": paths, "kind": [kind] * len(names)})
        chosen = step.function(table).column("held_out").to_pylist()
        return {name for name, held_out in zip(names, chosen, strict=True) if held_out}

    names = [f"owner/name-{number}" for number in range(2000)]
    tenth = drawn(names, 0.1)
    assert 130 < len(tenth) < 270
    assert drawn(names[::-1], 0.1) == tenth
    assert tenth < drawn(names, 0.2), "a larger share holds out more and frees none"
    assert drawn(names, 0.1, seed=1) != tenth
    assert drawn(names * 2, 0.1) == tenth, "all files of a repository"
    assert drawn(["stackoverflow.com"] * 2000, 0.1, "question") == {"stackoverflow.com"}, "questions are drawn one by one"
    assert not drawn(names, 0.0)


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_is_a_share(share: float) -> None:
    with pytest.raises(SettingsError, match=r"validation\.share"):
        ValidationSettings(share=share)


def test_a_run_can_be_trained_on(settings: DataSettings, tmp_path: Path) -> None:
    from starloom.core.settings import with_overrides
    from starloom.recipes.training import recipe
    from starloom.train.run import run as train

    Tokenizer.train([python(name, 6) for name in ("plums", "pears")], 400).save(tmp_path / "own")
    tokens = TokenSettings(tokenizer=str(tmp_path / "own"), mixture=Mixture(language_weights={"Python": 3.0}))
    held_out = replace(settings, validation=ValidationSettings(("beta",)), tokens=tokens)
    out = tmp_path / "out"
    finished = run(held_out, str(out), workers=0)
    tokenizer = Tokenizer.open(out / "tokenizer")
    shards = {name: Shards.open(out / "tokens" / name, tokenizer) for name in ("train", "validation")}
    assert {name: count.tokens for name, count in finished.tokens.items()} == {name: len(item) for name, item in shards.items()}
    assert (finished.tokens["train"].documents, finished.tokens["validation"].documents) == (6, 2), "only training is mixed"
    assert "figs_3" not in tokenizer.decode(shards["train"].read(0, len(shards["train"])))
    assert "figs_3" in tokenizer.decode(shards["validation"].read(0, len(shards["validation"])))
    line = json.loads(finished.to_json())
    assert (line["tokens"], line["validation_tokens"]) == (len(shards["train"]), len(shards["validation"]))
    result = train(with_overrides(recipe("debug"), [f"data={out}", "steps=3", "evaluate_every=3"]), tmp_path / "model")
    assert (result.steps, result.held_out.plain > 0) == (3, True)
    plain = run(replace(held_out, validation=ValidationSettings()), str(out), workers=0)
    assert "validation" not in plain.tokens
    assert not list((out / "tokens" / "validation").glob("*")), "nothing of the run before stays"
