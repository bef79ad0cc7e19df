"""What people see of a run: the command line's JSON line, statistics, single files, the card, and single files without a run."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pipeline_world import MIT, python, write
from typer.testing import CliRunner

from starloom.cli import app
from starloom.core.errors import InputError, SettingsError
from starloom.data.pipeline.card import card
from starloom.data.pipeline.finished import FinishedRun
from starloom.data.pipeline.inspection import Filter, inspect
from starloom.data.pipeline.report import Count
from starloom.data.pipeline.statistics import draw, statistics
from starloom.recipes.data import RECIPES, recipe


def _said(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["data", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_a_run_ends_with_one_line_of_json(world: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "list").write_text(f"# the others\n{world[1]}\n\n{world[2]}\n")
    options = ["--out", str(tmp_path / "out"), "--list", str(tmp_path / "list"), "--workers", "0"]
    line = _said("run", "debug", world[0], *options, "--set", "parse=false", "--set", "near.threshold=0.9")
    values: dict[str, Any] = json.loads(line)
    assert list(values) == ["read", "kept", "dropped", "redacted", "bytes", "languages", "seconds"]
    assert values["read"] == values["kept"] + sum(values["dropped"].values()) == 16
    assert values["languages"] == 1


def test_mistakes_on_the_command_line_are_named(tmp_path: Path) -> None:
    for arguments, message in (
        (["run", "nothing", "--out", "x"], "there is no recipe 'nothing'; known are debug, permissive, stack"),
        (["run", "debug", "--out", "x", "--set", "nere.threshold=1"], "unknown setting 'nere"),
        (["run", "debug", "--out", "x", "--set", "near.threshold=2"], "at most 1"),
        (["run", "debug", "--out", str(tmp_path / "x"), str(tmp_path), "--set", 'languages=["Pyton"]'], "did you mean Python"),
        (["run", "debug", "--out", str(tmp_path / "x"), '{"kind": "floppy"}'], "kind of a source is 'floppy'"),
        (["stats", str(tmp_path)], "there is no run at"),
    ):
        with pytest.raises((InputError, SettingsError), match=re.escape(message)):
            CliRunner().invoke(app, ["data", *arguments], catch_exceptions=False)


def test_recipes_are_whole_settings() -> None:
    assert all(recipe(name) for name in RECIPES)
    assert recipe("stack").licences.keep_unlicensed
    assert not recipe("permissive").licences.keep_unlicensed


def test_statistics_add_up(finished: Path) -> None:
    found = statistics(FinishedRun(str(finished)))
    for counts in (found.languages, found.licences, found.kinds, found.sizes):
        assert sum(count.files for count in counts.values()) == found.kept.files
        assert sum(count.bytes for count in counts.values()) == found.kept.bytes
    for which, whole in ((0, found.read), (1, found.kept)):
        assert sum(counts[which].files for counts in found.sources.values()) == whole.files
        assert sum(counts[which].bytes for counts in found.sources.values()) == whole.bytes
    assert found.read.files == found.kept.files + sum(count.files for count in found.reasons.values())
    assert (found.exact_groups, found.near_groups) == ({2: 1}, {2: 1})


def test_statistics_are_shown_and_drawn(finished: Path, tmp_path: Path) -> None:
    out = shutil.copytree(finished, tmp_path / "out")
    shown = _said("stats", str(out))
    for word in ("near duplicate", "Python", "MIT", "licence_evidence"):
        assert word in shown
    figures = sorted((out / "plots").iterdir())
    assert [path.stem for path in figures] == ["duplicates", "languages", "licences", "reasons", "sizes"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in figures)


def test_names_of_any_length_leave_room_for_their_bars(finished: Path, tmp_path: Path) -> None:
    run = FinishedRun(str(shutil.copytree(finished, tmp_path / "out")))
    long = "LicenseRef-of-many-words AND " * 40 + "MIT"
    draw(replace(statistics(run), licences={long: Count(1, 1000)}), run)


def test_the_card_names_lists_and_benchmarks(finished: Path) -> None:
    run = FinishedRun(str(finished))
    settings = replace(run.layout.settings, benchmarks=("sets/humaneval.jsonl", "sets/more/"), opt_out=("lists/owners",))
    run.layout = replace(run.layout, settings=settings)
    places = {"benchmarks": ["/home/jane/sets/humaneval.jsonl", "sets/more/"], "malware": {"rules": ["/home/jane/own.yar"]}}
    run.report = run.report | {"settings": run.report["settings"] | places}
    text = card(run, statistics(run), plots=False)
    assert "- `benchmarks`: `['humaneval.jsonl', 'sets/more/']`" in text
    assert "- `malware`: `{'rules': ['own.yar']}`" in text
    assert "jane" not in text
    assert "- Benchmarks: texts with a task of `humaneval.jsonl`, `more` were dropped." in text
    assert "- Opt-out: what `owners` names was dropped." in text


def test_single_files_are_found_by_reason_path_and_language(finished: Path) -> None:
    run = FinishedRun(str(finished))
    (row,) = inspect(run, Filter(reason="exact duplicate"), 9)
    assert (row["repository"], row["path"], row["survivor"]) == ("beta", "copy.py", "alpha/apples.py")
    assert row["text"].startswith('"""Everything about apples."""')
    assert [row["path"] for row in inspect(run, Filter(path="alpha/*.py", language="Python"), 2)] == ["apples.py", "empty.py"]
    assert {row["reason"] for row in inspect(run, Filter(reason="kept"), 99)} == {None}
    line = json.loads(_said("inspect", str(finished), "--reason", "licence unknown", "--json"))
    assert (line["path"], line["reason_step"]) == ("figs.py", "licences")
    assert "survivor: beta/near.py" in _said("inspect", str(finished), "--reason", "near duplicate")
    with pytest.raises(InputError, match="no file of this run was dropped as 'ugly'"):
        _said("inspect", str(finished), "--reason", "ugly")


def test_the_card_says_what_is_in_the_data(finished: Path, tmp_path: Path) -> None:
    text = _said("card", str(finished))
    assert text.startswith("# Data card\n")
    for line in (
        "| Python | 4 |",
        "| MIT | 4 |",
        "| near duplicate | 1 |",
        "| gamma | 2 | 0.00 | 0 | 0.00 |",
        "1 kept documents were changed",
    ):
        assert line in text
    _said("card", str(finished), "--out", str(tmp_path / "card.md"))
    assert (tmp_path / "card.md").read_text() == text


def test_an_unfinished_run_is_named(finished: Path, tmp_path: Path) -> None:
    out = shutil.copytree(finished, tmp_path / "out")
    (out / "report.json").unlink()
    with pytest.raises(InputError, match="not finished"):
        FinishedRun(str(out))


def test_single_files_are_judged_as_in_a_run(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    mail = python("mail") + 'AUTHOR = "jane.doe@some-company.com"\n'
    write(tmp_path, {"LICENSE": MIT, "src/mail.py": mail, "other/COPYING": "GPL", "bin.dat": b"\0\1\2"})
    kept, binary = map(
        json.loads, _said("classify", *(str(tmp_path / n) for n in ("src/mail.py", "bin.dat")), "--json").splitlines()
    )
    assert (kept["language"], kept["licence"], kept["licence_source"], kept["verdict"]) == (
        "Python",
        "MIT",
        "LICENSE: text 0.99",
        "kept",
    )
    assert [(found["kind"], found["line"]) for found in kept["findings"]] == [("EMAIL", mail.count("\n"))]
    assert (binary["verdict"], binary["reason_step"]) == ("not UTF-8", "text")
    assert "licence: MIT" in _said("classify", str(tmp_path / "src/mail.py"))


def test_a_file_below_a_copyleft_licence_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"COPYING": "GNU GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007\n", "code.py": python("code")})
    assert json.loads(_said("classify", str(tmp_path / "code.py"), "--json"))["verdict"] == "licence not permissive"
    with pytest.raises(InputError, match="not a file"):
        _said("classify", str(tmp_path))


def test_a_file_of_a_wheel_stands_under_the_licence_of_its_own_distribution(tmp_path: Path) -> None:
    record = "apples/core.py,sha256=x,9\napples-1.dist-info/RECORD,,\n"
    apples = {"apples-1.dist-info/METADATA": "Name: apples\nLicense-Expression: MIT\n", "apples-1.dist-info/RECORD": record}
    pears = {"pears-1.dist-info/METADATA": "Name: pears\nLicense: GPL-3.0\n", "pears-1.dist-info/RECORD": "pears.py,,\n"}
    write(tmp_path, {**apples, **pears, "apples/core.py": python("core"), "pears.py": python("pears"), "figs.py": python("figs")})
    (tmp_path / "rotten-1.dist-info").mkdir()
    names = ("apples/core.py", "pears.py", "figs.py")
    lines = _said("classify", *(str(tmp_path / name) for name in names), "--json").splitlines()
    assert [json.loads(line)["verdict"] for line in lines] == ["kept", "licence not permissive", "licence unknown"]
