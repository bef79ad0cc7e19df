"""Records that are no files: rendered threads, notebooks, documentation; and the stages that look at lists and rules."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pipeline_world import MIT, python, write

from starloom.contract.shards import Shards
from starloom.contract.tokenizer import Tokenizer
from starloom.data.documents import read_documents
from starloom.data.pipeline.addresses import PACKED, absolute, label, source_lines
from starloom.data.pipeline.finished import FinishedRun
from starloom.data.pipeline.inspection import Filter, inspect
from starloom.data.pipeline.run import run
from starloom.data.pipeline.settings import DataSettings, LicenceSettings, MalwareSettings, TokenSettings
from starloom.data.pipeline.stages import ingest
from starloom.data.sources.record import Record

_ISSUE = "<issue_start>Title: It breaks\nusername_0: mail me at jane.doe@some-company.com please, it breaks<|endoftext|>"
_QUESTION = (
    "<issue_start>username_0: how do I sort a list of lists?<issue_comment>username_1: with sorted\nUpvotes: 3<|endoftext|>"
)


def _record(kind: Any, path: str, text: str, **said: Any) -> Record:
    return Record("owner/name", path, kind, text.encode(), len(text), **said)


@pytest.fixture
def _threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def records(*_: Any) -> Iterator[Record]:
        yield _record("issue", "issues/1", _ISSUE, date="2020-01-01T00:00:00Z")
        yield _record("question", "questions/2", _QUESTION, licence="CC-BY-SA-4.0")
        yield _record("documentation", "guide.md", "A guide to the garden and all that grows in it.", licence="MIT")
        yield _record(
            "pull request", "pull/3", "<pr>Title: Mend it\nusername_0: this mends it<|endoftext|>", licence="GPL-3.0-only"
        )
        yield Record("owner/name", "issues/4", "issue", None, 0, refused="too few users")

    monkeypatch.setattr(ingest, "records", records)


def _reasons(out: Path) -> dict[str, str | None]:
    return {row["path"]: row["reason"] for row in inspect(FinishedRun(str(out)), Filter(), 99)}


@pytest.mark.usefixtures("_threads")
def test_threads_pass_by_the_rules_for_their_kind(tmp_path: Path) -> None:
    source = str(write(tmp_path / "events", {"one.json": "{}"}))
    exempt = LicenceSettings(exempt_kinds=("issue", "question"))
    run(DataSettings(sources=(source,), licences=exempt), str(tmp_path / "out"), workers=0)
    assert _reasons(tmp_path / "out") == {
        "issues/1": None,
        "questions/2": None,
        "guide.md": None,
        "pull/3": "licence not permissive",
        "issues/4": "too few users",
    }
    documents = {document.path: document for document in read_documents(tmp_path / "out" / "documents")}
    assert documents["issues/1"].text.startswith("<issue_start>Title")
    assert "<EMAIL> please" in documents["issues/1"].text
    assert documents["questions/2"].licence == "CC-BY-SA-4.0"
    run(DataSettings(sources=(source,)), str(tmp_path / "out"), workers=0)
    assert _reasons(tmp_path / "out")["issues/1"] is None
    run(DataSettings(sources=(source,), licences=LicenceSettings(exempt_kinds=())), str(tmp_path / "out"), workers=0)
    assert _reasons(tmp_path / "out")["issues/1"] == "licence unknown"
    assert _reasons(tmp_path / "out")["questions/2"] == "licence not permissive"


@pytest.mark.usefixtures("_threads")
def test_threads_become_sequences_with_special_tokens(tmp_path: Path) -> None:
    Tokenizer.train([_ISSUE, _QUESTION], 330).save(tmp_path / "tokenizer")
    source = str(write(tmp_path / "events", {"one.json": "{}"}))
    settings = DataSettings(
        sources=(source,),
        licences=LicenceSettings(exempt_kinds=("issue", "question", "documentation", "pull request")),
        tokens=TokenSettings(tokenizer=str(tmp_path / "tokenizer")),
    )
    run(settings, str(tmp_path / "out"), workers=0)
    tokenizer = Tokenizer.open(tmp_path / "out" / "tokenizer")
    shards = Shards.open(tmp_path / "out" / "tokens" / "train", tokenizer)
    ids = shards.read(0, len(shards)).tolist()
    assert ids.count(tokenizer.special_ids["<|endoftext|>"]) == 4
    assert ids.count(tokenizer.special_ids["<issue_start>"]) == 2
    assert ids.count(tokenizer.special_ids["<issue_comment>"]) == 1


def test_lists_and_rules_drop_with_their_reasons(tmp_path: Path) -> None:
    solution = (
        "def has_close_elements(numbers, threshold):\n    return any(abs(a - b) < threshold for a in numbers for b in numbers)\n"
    )
    task = {"task_id": "Test/0", "prompt": "", "canonical_solution": solution}
    (tmp_path / "bench.jsonl").write_text(json.dumps(task) + "\n")
    (tmp_path / "opted").write_text("repository away\n")
    eicar = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
    good = write(
        tmp_path / "good",
        {
            "LICENSE": MIT,
            "good.py": python("good"),
            "cheat.py": f'"""Copied from somewhere."""\n\n\n{solution}',
            "virus.py": f"# {eicar}\n{python('virus')}",
        },
    )
    away = write(tmp_path / "away", {"LICENSE": MIT, "code.py": python("away")})
    settings = DataSettings(
        sources=(str(good), str(away)),
        benchmarks=(str(tmp_path / "bench.jsonl"),),
        opt_out=(str(tmp_path / "opted"),),
        parse=False,
    )
    run(settings, str(tmp_path / "out"), workers=0)
    assert _reasons(tmp_path / "out") == {
        "LICENSE": "text without a known name",
        "cheat.py": "benchmark",
        "good.py": None,
        "virus.py": "malware",
        "code.py": "opted out",
    }
    (tmp_path / "opted").write_text("repository good\n")
    run(replace(settings, malware=MalwareSettings(enabled=False)), str(tmp_path / "out"), workers=0)
    reasons = _reasons(tmp_path / "out")
    assert (reasons["good.py"], reasons["virus.py"], reasons["code.py"]) == ("opted out", "opted out", None)


_EICAR = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
_TABLE = {
    # deduplicated, scanned for malware, decontaminated (paper, table 3); commits and code pairs as source code and pull requests
    "file": (True, True, True),
    "commit": (True, True, True),
    "pull request": (True, True, True),
    "notebook": (True, True, True),
    "notebook script": (True, True, True),
    "intermediate code": (True, True, True),
    "issue": (True, True, True),
    "documentation": (True, False, False),
    "question": (False, False, True),
}


def _about(kind: str, what: str) -> str:
    return python(f"{kind.replace(' ', '_')}_{what}", 4)


def _task(kind: str) -> str:
    """Unlike the others by more than its names."""
    return _about(kind, "task").replace("first * ", "second - first % ").replace("+ second", "<< 3")


def test_filters_apply_to_the_kinds_that_they_are_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def records(*_: Any) -> Iterator[Record]:
        for kind in _TABLE:
            texts = {
                "one": _about(kind, "same"),
                "same": _about(kind, "same"),
                "near": _about(kind, "same").replace("number 3", "position three"),
                "eicar": f"# {_EICAR}\n{_about(kind, 'eicar')}",
                "task": f"# Copied.\n{_task(kind)}",
                "mail": f"{_about(kind, 'mail')}# jane.doe@some-company.com\n",
            }
            for name, text in texts.items():
                yield _record(kind, f"{kind}/{name}.py", text, licence="MIT")
            yield Record("away/name", f"{kind}/away.py", kind, _about(kind, "away").encode(), 9, licence="MIT")

    monkeypatch.setattr(ingest, "records", records)
    tasks = [{"task_id": kind, "prompt": "", "canonical_solution": _task(kind)} for kind in _TABLE]
    (tmp_path / "bench.jsonl").write_text("".join(json.dumps(task) + "\n" for task in tasks))
    (tmp_path / "opted").write_text("owner away\n")
    source = str(write(tmp_path / "events", {"one.json": "{}"}))
    lists = {"benchmarks": (str(tmp_path / "bench.jsonl"),), "opt_out": (str(tmp_path / "opted"),)}
    run(DataSettings(sources=(source,), parse=False, **lists), str(tmp_path / "out"), workers=0)
    reasons = _reasons(tmp_path / "out")
    texts = {document.path: document.text for document in read_documents(tmp_path / "out" / "documents")}
    for kind, (deduplicated, scanned, decontaminated) in _TABLE.items():
        found = {name: reasons[f"{kind}/{name}.py"] for name in ("one", "same", "near", "eicar", "task", "mail", "away")}
        repeated = sorted(str(found[name]) for name in ("one", "same", "near"))
        assert repeated == (["None", "exact duplicate", "near duplicate"] if deduplicated else ["None"] * 3), kind
        assert found["eicar"] == ("malware" if scanned else None), kind
        assert found["task"] == ("benchmark" if decontaminated else None), kind
        assert found["away"] == "opted out", kind
        assert found["mail"] is None
        assert "<EMAIL>" in texts[f"{kind}/mail.py"], kind


def test_addresses_are_paths_or_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("x.whl") == str(tmp_path / "x.whl")
    assert absolute("s3://bucket/x") == "s3://bucket/x"
    assert json.loads(absolute('{"kind": "commits", "path": "x"}')) == {"kind": "commits", "path": str(tmp_path / "x")}
    assert (label(str(tmp_path / "x.whl")), label('{"kind": "commits", "path": "a/x"}')) == ("x.whl", "commits x")


def test_other_ratings_are_another_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"Posts.xml": "<posts/>", "ratings.txt": "1 0.5\n"})
    monkeypatch.chdir(tmp_path)
    address = absolute(json.dumps({"kind": "stack overflow", "path": "Posts.xml", "ratings": "ratings.txt"}))
    (before,) = source_lines([address])
    write(tmp_path, {"ratings.txt": "1 0.5\n2 0.5\n"})
    assert json.loads(address)["ratings"] == str(tmp_path / "ratings.txt")
    assert source_lines([address])[0].identity != before.identity


def test_a_debian_source_package_is_as_large_as_its_files_and_changes_with_them(tmp_path: Path) -> None:
    dsc, tarball = tmp_path / "tool_1.dsc", tmp_path / "tool_1.orig.tar.gz"
    with tarfile.open(tarball, "w:gz") as archive:
        archive.add(write(tmp_path / "tool-1", {"a.py": python("apples")}), "tool-1")
    digest = hashlib.sha256(tarball.read_bytes()).hexdigest()
    dsc.write_text(f"Source: tool\nVersion: 1\nChecksums-Sha256:\n {digest} {tarball.stat().st_size} {tarball.name}\n")
    (whole,) = source_lines([str(dsc)])
    assert whole.size == PACKED * (dsc.stat().st_size + tarball.stat().st_size)
    tarball.unlink()
    (missing,) = source_lines([str(dsc)])
    assert (missing.size, missing.identity != whole.identity) == (PACKED * dsc.stat().st_size, True)
    dsc.write_text("nothing")
    assert source_lines([str(dsc)])[0].size == PACKED * len("nothing")


def test_a_licence_file_that_another_replaces_asks_for_nothing(tmp_path: Path) -> None:
    archive = tmp_path / "tool-1.tar"
    with tarfile.open(archive, "w") as tar:
        for name, text in (("LICENSE", "All of it is mine."), ("a.py", python("apples")), ("LICENSE", MIT)):
            member = tarfile.TarInfo(f"tool-1/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    run(DataSettings(sources=(str(archive),), buckets=1, parse=False), str(tmp_path / "out"), workers=0)
    rows = [row for table in FinishedRun(str(tmp_path / "out")).tables("path", "reason") for row in table.to_pylist()]
    assert [(row["path"], row["reason"]) for row in rows if row["path"] == "a.py"] == [("a.py", None)]
    assert "repeated path" in [row["reason"] for row in rows]
