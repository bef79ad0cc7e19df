from __future__ import annotations

import gzip
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pipeline_world import hashes, python, write

from starloom.core.errors import FormatError, InputError, PipelineError
from starloom.data.documents import read_documents
from starloom.data.pipeline.finished import FinishedRun
from starloom.data.pipeline.layout import read_layout
from starloom.data.pipeline.run import run
from starloom.data.pipeline.settings import DataSettings, LicenceSettings, NearSettings
from starloom.data.pipeline.storage import storage_at
from starloom.data.pipeline.task import Outcome, Task, run_task


def _column(out: Path, step: str, name: str) -> list[Any]:
    return [value for path in sorted((out / step).glob("*.parquet")) for value in pq.read_table(path).column(name).to_pylist()]


def _rows(out: Path) -> dict[str, str | None]:
    """The reason of each file, by `repository/path`."""
    names = zip(_column(out, "ingest", "repository"), _column(out, "ingest", "path"), strict=True)
    return dict(zip(map("/".join, names), _column(out, "verdict", "reason"), strict=True))


def test_every_file_has_its_verdict(finished: Path) -> None:
    assert _rows(finished) == {
        "alpha/LICENSE": "text without a known name",
        "alpha/apples.py": None,
        "alpha/data.unknownending": "language unknown",
        "alpha/empty.py": "empty",
        "alpha/latin.py": None,
        "alpha/link.py": "link",
        "alpha/mail.py": None,
        "alpha/picture.bin": "not UTF-8",
        "alpha/wide.py": "long lines",
        "beta/LICENSE": "text without a known name",
        "beta/copy.py": "exact duplicate",
        "beta/near.py": None,
        "beta/pears.py": "near duplicate",
        "beta/x.c": "nearly empty",
        "delta/figs.py": "licence unknown",
        "gamma/COPYING": "licence not permissive",
        "gamma/plums.py": "licence not permissive",
    }


def test_nothing_is_lost_and_nothing_counted_twice(finished: Path) -> None:
    report = json.loads((finished / "report.json").read_text())
    reasons = Counter(_rows(finished).values())
    kept = reasons.pop(None)
    for unit in ("files", "bytes"):
        assert report["read"][unit] == report["kept"][unit] + sum(count[unit] for count in report["dropped"].values())
    assert report["kept"]["files"] == kept
    assert {reason: count["files"] for reason, count in report["dropped"].items()} == reasons
    assert report["read"]["bytes"] == sum(_column(finished, "ingest", "size"))
    assert report["redacted"]["files"] == 1


def test_every_table_of_a_shard_has_its_rows(finished: Path) -> None:
    columns = [folder for folder in finished.iterdir() if folder.is_dir() and not folder.name.startswith(("near_", "exact_"))]
    rows = {
        folder.name: [pq.read_metadata(path).num_rows for path in sorted(folder.glob("*.parquet"))]
        for folder in columns
        if folder.name not in ("documents", "statistics")
    }
    assert len({tuple(counts) for counts in rows.values()}) == 1, rows
    assert len(rows["ingest"]) > 1


def test_documents_are_the_kept_files_with_redacted_text(finished: Path) -> None:
    documents = {f"{document.repository}/{document.path}": document for document in read_documents(finished / "documents")}
    assert set(documents) == {name for name, reason in _rows(finished).items() if reason is None}
    assert "jane.doe" not in documents["alpha/mail.py"].text
    assert "<EMAIL>" in documents["alpha/mail.py"].text
    assert "caf\u00e9" in documents["alpha/latin.py"].text
    assert documents["alpha/apples.py"].licence == "MIT"
    assert documents["alpha/apples.py"].language == "Python"


def test_ids_name_shard_and_row(finished: Path) -> None:
    ids = [pq.read_table(path).column("id").to_pylist() for path in sorted((finished / "ingest").glob("*.parquet"))]
    assert ids == [[shard << 32 | row for row in range(len(part))] for shard, part in enumerate(ids)]


def test_a_survivor_is_named_by_its_id(finished: Path) -> None:
    ids, names = _column(finished, "ingest", "id"), list(_rows(finished))
    exact = dict(zip(names, _column(finished, "exact", "exact_survivor"), strict=True))
    near = dict(zip(names, _column(finished, "near", "near_survivor"), strict=True))
    assert ids[names.index("alpha/apples.py")] == exact["beta/copy.py"]
    assert ids[names.index("beta/near.py")] == near["beta/pears.py"]
    assert [name for name in names if exact[name] is not None] == ["beta/copy.py"]


def test_the_order_of_sources_and_the_number_of_workers_change_nothing(
    finished: Path, settings: DataSettings, tmp_path: Path
) -> None:
    run(replace(settings, sources=settings.sources[::-1]), str(tmp_path / "out"), workers=2)
    assert hashes(tmp_path / "out") == hashes(finished)


def test_the_number_of_buckets_and_the_size_of_groups_change_no_verdict(
    finished: Path, settings: DataSettings, tmp_path: Path
) -> None:
    run(replace(settings, buckets=1, group_bytes=100_000_000), str(tmp_path / "out"), workers=0)
    assert _rows(tmp_path / "out") == _rows(finished)


def test_one_shard_gives_the_same_verdicts(finished: Path, settings: DataSettings, tmp_path: Path) -> None:
    run(replace(settings, shard_bytes=2**28), str(tmp_path / "out"), workers=0)
    assert _rows(tmp_path / "out") == _rows(finished)


def _copy(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "out")


def _stamps(out: Path) -> dict[str, int]:
    return {str(path.relative_to(out)): path.stat().st_mtime_ns for path in sorted(out.rglob("*.done"))}


def test_a_finished_run_computes_nothing_again(settings: DataSettings, finished: Path, tmp_path: Path) -> None:
    out = _copy(finished, tmp_path)
    before = _stamps(out)
    again = run(settings, str(out), workers=0)
    assert _stamps(out) == before
    assert again.report.to_json() + "\n" == (finished / "report.json").read_text()


def test_another_setting_computes_what_depends_on_it(settings: DataSettings, finished: Path, tmp_path: Path) -> None:
    out = _copy(finished, tmp_path)
    before = _stamps(out)
    changed = replace(settings, near=NearSettings(threshold=0.99))
    assert "near duplicate" not in run(changed, str(out), workers=0).report.dropped
    again = {name.partition("/")[0] for name, stamp in _stamps(out).items() if before[name] != stamp}
    assert {"near_keys", "near", "redaction", "verdict", "documents"} <= again
    assert not {"ingest", "text", "languages", "licences", "quality", "exact"} & again


def test_a_run_that_stops_on_its_way_is_not_finished(settings: DataSettings, finished: Path, tmp_path: Path) -> None:
    """What lies there may be of two rules: nobody reads it as one whole."""
    out = _copy(finished, tmp_path)
    FinishedRun(str(out))
    path = out / "text" / "00000.parquet"
    path.write_bytes(b"\0" * path.stat().st_size)
    with pytest.raises(PipelineError):
        run(replace(settings, languages=("Python",)), str(out), workers=0)
    with pytest.raises(InputError, match="is not finished"):
        FinishedRun(str(out))


def test_a_changed_source_is_read_again_and_others_are_not(tmp_path: Path) -> None:
    sources = tuple(str(write(tmp_path / name, {"code.py": python(name)})) for name in ("one", "two"))
    settings = DataSettings(sources=sources, shard_bytes=1, licences=LicenceSettings(keep_unlicensed=True), parse=False)
    run(settings, str(tmp_path / "out"), workers=0)
    before = _stamps(tmp_path / "out")
    write(tmp_path / "two", {"more.py": python("more")})
    assert run(settings, str(tmp_path / "out"), workers=0).report.kept.files == 3
    after = _stamps(tmp_path / "out")
    assert after["text/00000.done"] == before["text/00000.done"]
    assert after["text/00001.done"] != before["text/00001.done"]


def test_parts_of_a_larger_run_do_not_stay(settings: DataSettings, finished: Path, tmp_path: Path) -> None:
    out = _copy(finished, tmp_path)
    run(replace(settings, sources=settings.sources[:1]), str(out), workers=0)
    assert {document.repository for document in read_documents(out / "documents")} == {"alpha"}


def test_a_damaged_table_is_named(settings: DataSettings, finished: Path, tmp_path: Path) -> None:
    out = _copy(finished, tmp_path)
    path = out / "text" / "00000.parquet"
    path.write_bytes(b"\0" * path.stat().st_size)
    (out / "languages" / "00000.done").unlink()
    with pytest.raises(PipelineError, match=r"step 'languages', part 0: .*text/00000\.parquet' is damaged"):
        run(settings, str(out), workers=0)


@pytest.mark.parametrize("harm", ["no marker", "old marker", "broken marker", "cut short"])
def test_a_table_that_its_marker_does_not_vouch_for_is_computed_again(
    harm: str, settings: DataSettings, finished: Path, tmp_path: Path
) -> None:
    out = _copy(finished, tmp_path)
    path, marker = out / "text" / "00001.parquet", out / "text" / "00001.done"
    path.write_bytes(path.read_bytes()[:-10])
    if harm == "no marker":
        marker.unlink()
    elif harm == "old marker":
        marker.write_text(json.dumps({**json.loads(marker.read_text()), "fingerprint": "0"}))
    elif harm == "broken marker":
        marker.write_text("{")
    run(settings, str(out), workers=0)
    assert hashes(out) == hashes(finished)


_RUN = """
import sys
from dataclasses import replace
from starloom.core.settings import from_mapping
from starloom.data.pipeline.run import run
from starloom.data.pipeline.settings import DataSettings
run(from_mapping(DataSettings, {settings!r}), {out!r}, workers={workers})
"""


def _script(settings: DataSettings, out: Path, workers: int) -> list[str]:
    from starloom.core.settings import to_mapping

    code = _RUN.format(settings=to_mapping(settings), out=str(out), workers=workers)
    return [sys.executable, "-c", code]


@pytest.mark.parametrize(("step", "workers"), [("text", 1), ("near_pairs", 2)])
def test_a_killed_run_goes_on_to_the_same_bytes(
    step: str, workers: int, settings: DataSettings, finished: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(_script(settings, out, workers))
    while process.poll() is None and not list(out.glob(f"{step}/*.done")):
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "killed before its end"
    done = _stamps(out)
    run(settings, str(out), workers=0)
    assert hashes(out) == hashes(finished)
    assert {name: stamp for name, stamp in _stamps(out).items() if name in done} == done, "what was done is not done again"
    assert not [path for path in out.rglob("*") if path.name.endswith(".partial")]


@contextmanager
def _small_disk(num_bytes: int) -> Iterator[None]:
    """No file of this process may become larger: as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_named_and_loses_nothing(tmp_path: Path) -> None:
    small = write(tmp_path / "a", {"LICENSE": "MIT", "small.py": python("small")})
    large = write(tmp_path / "b", {"LICENSE": "MIT", "large.bin": os.urandom(400_000), "code.py": python("code")})
    settings = DataSettings(sources=(str(small), str(large)), shard_bytes=1, parse=False)
    out = tmp_path / "out"
    with _small_disk(200_000), pytest.raises(PipelineError, match=r"no room left to write '.*ingest/00001\.parquet'"):
        run(settings, str(out), workers=0)
    assert sorted(path.name for path in (out / "ingest").iterdir()) == ["00000.done", "00000.parquet"]
    assert run(settings, str(out), workers=0).report.kept.files == 2


def test_a_full_disk_for_temporary_files_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issues are gathered from events in bucket files."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    about = {"number": 1, "title": "It breaks", "body": "b" * 300_000, "user": {"login": "ann"}}
    line = {"id": "1", "type": "IssuesEvent", "actor": {"login": "ann"}, "repo": {"name": "own/er"}}
    line |= {"created_at": "2020-01-01T00:00:00Z", "payload": {"action": "opened", "issue": about}}
    events = write(tmp_path / "events", {"a.json.gz": gzip.compress(json.dumps(line).encode())})
    settings = DataSettings(sources=(json.dumps({"kind": "issues", "path": str(events)}),), parse=False)
    with (
        _small_disk(100_000),
        pytest.raises(PipelineError, match=rf"no room left for temporary files in '{scratch}' while 'issues ev"),
    ):
        run(settings, str(tmp_path / "out"), workers=0)
    assert not list(scratch.iterdir())
    assert not (tmp_path / "out" / "ingest" / "00000.done").exists()
    assert run(settings, str(tmp_path / "out"), workers=0).report.read.files == 1


def test_a_source_that_cannot_be_read_is_one_dropped_row(tmp_path: Path) -> None:
    good = write(tmp_path / "good", {"LICENSE": "MIT", "good.py": python("good")})
    (tmp_path / "bad.zip").write_bytes(b"this is no archive")
    settings = DataSettings(sources=(str(good), str(tmp_path / "bad.zip")), parse=False)
    report = run(settings, str(tmp_path / "out"), workers=0).report
    assert report.dropped["source not readable"].files == 1
    assert report.read.files == report.kept.files + sum(count.files for count in report.dropped.values())
    with pytest.raises(PipelineError, match=r"step 'ingest', part 0: .*bad\.zip"):
        run(replace(settings, keep_going=False), str(tmp_path / "other"), workers=0)


def test_of_a_source_that_breaks_off_nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The licence that forbids it may be in what could not be read."""
    from starloom.data.pipeline.stages import ingest

    def breaking(*arguments: Any) -> Any:
        yield from real(*arguments)
        raise InputError("the archive ends too early")

    real = ingest.records
    monkeypatch.setattr(ingest, "records", breaking)
    good = write(tmp_path / "good", {"LICENSE": "MIT", "good.py": python("good")})
    report = run(DataSettings(sources=(str(good),), parse=False), str(tmp_path / "out"), workers=0).report
    assert report.kept.files == 0
    assert report.dropped["source not readable"].files == 3


def test_a_worker_that_sees_another_run_refuses_to_work(finished: Path) -> None:
    task = Task(str(finished), "another digest", "text", 0, "f")
    outcome = Outcome.from_json(run_task(task.to_json()))
    assert outcome.error is not None
    assert "does not see the run" in outcome.error
    assert outcome.trace is None


def test_mistakes_are_named(settings: DataSettings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no sources"):
        run(DataSettings(), str(tmp_path / "out"), workers=0)
    with pytest.raises(InputError, match="nowhere"):
        run(DataSettings(sources=(str(tmp_path / "nowhere"),)), str(tmp_path / "out"), workers=0)
    with pytest.raises(InputError, match="given twice"):
        run(DataSettings(sources=(settings.sources[0],) * 2), str(tmp_path / "out"), workers=0)
    (tmp_path / "out").mkdir(exist_ok=True)
    (tmp_path / "out" / "run.json").write_text("{}")
    with pytest.raises(FormatError, match="damaged"):
        read_layout(storage_at(str(tmp_path / "out")))
