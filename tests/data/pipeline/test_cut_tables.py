"""Tables of The Stack v2 are as large as the contents that they name, and are cut by repositories."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pipeline_world import python

from starloom.data.pipeline.addresses import pieces, source_lines
from starloom.data.pipeline.finished import FinishedRun
from starloom.data.pipeline.run import run
from starloom.data.pipeline.settings import DataSettings


def _row(repository: int, number: int, contents: Path) -> dict[str, Any]:
    data = python(f"fruit_{repository}_{number}").encode()
    blob = hashlib.sha1(data).hexdigest()
    (contents / blob).write_bytes(gzip.compress(data))
    known = {"detected_licenses": ["MIT"], "language": "Python", "src_encoding": "UTF-8", "revision_id": "1" * 40}
    name = None if repository == 0 else f"own/{repository}"
    return known | {"repo_name": name, "blob_id": blob, "path": f"/{number}.py", "length_bytes": len(data)} | _NOTHING


_NOTHING = {"revision_date": None, "star_events_count": 0, "gha_license_id": None}


@pytest.fixture
def source(tmp_path: Path) -> str:
    """A table of 30 files in 10 repositories, one of which has no name."""
    contents = tmp_path / "content"
    contents.mkdir()
    rows = [_row(number % 10, number, contents) for number in range(30)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "files.parquet")
    return json.dumps({"kind": "stack v2", "path": str(tmp_path / "files.parquet"), "contents": str(contents)})


def _files(out: Path) -> list[set[tuple[str, str, str | None]]]:
    run_ = FinishedRun(str(out))
    tables = (run_.shard(shard, "repository", "path", "reason") for shard in range(len(run_.layout.shards)))
    return [{tuple(row.values()) for row in table.to_pylist()} for table in tables]


def test_pieces_hold_whole_repositories_and_together_all(source: str, tmp_path: Path) -> None:
    (line,) = source_lines([source])
    assert line.size == sum(len(gzip.decompress(path.read_bytes())) for path in (tmp_path / "content").iterdir())
    for name, shard_bytes in (("whole", line.size), ("cut", line.size // 4)):
        run(DataSettings((source,), shard_bytes=shard_bytes, parse=False), str(tmp_path / name), workers=0)
    (whole,), cut = _files(tmp_path / "whole"), _files(tmp_path / "cut")
    assert len(cut) == 4
    assert len(whole) == sum(map(len, cut)) == 30
    assert set.union(*cut) == whole
    repositories = [{name for name, _, _ in files} for files in cut]
    assert sum(map(len, repositories)) == 10


def test_pieces_change_with_the_table_and_are_not_cut_again(source: str, tmp_path: Path) -> None:
    lines = source_lines([source])
    cut = list(pieces(lines, 1000))
    assert len({line.identity for line in cut}) == len(cut) > 4
    again = source_lines([line.address for line in cut])
    assert [line.address for line in pieces(again, 1)] == [line.address for line in cut]
    grouped = [
        {"repo_name": "own/one", "files": [{"path": "/a.py", "length_bytes": 70}, {"path": "/b.py", "length_bytes": None}]}
    ]
    pq.write_table(pa.Table.from_pylist(grouped), tmp_path / "files.parquet")
    (other,) = source_lines([source])
    assert (other.size, other.identity != lines[0].identity) == (70, True)
    (tmp_path / "files.parquet").write_bytes(b"no table")
    assert source_lines([source])[0].size > 0, "what is wrong with it is told when it is read"
