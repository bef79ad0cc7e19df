"""What a run found, counted from the tallies of its shards: `report.json`, and the line that a run ends with.

Holds no times and no places on the disk: the same sources and settings give the same report.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from starloom.core.settings import to_mapping
from starloom.data.pipeline.columns import Aligned
from starloom.data.pipeline.layout import Layout
from starloom.data.pipeline.markers import output_name
from starloom.data.pipeline.stages.outcome import TALLY, added_up
from starloom.data.pipeline.storage import Storage

FORMAT, VERSION = "starloom.data.run.report", 1
REPORT = "report.json"
_TALLIES = 256  # of so many shards at a time, whatever the number of shards


@dataclass(frozen=True, slots=True)
class Count:
    """Files and their bytes."""

    files: int
    bytes: int


@dataclass(frozen=True)
class Report:
    """`read` = `kept` + the sum of `dropped`, in files and in bytes; `redacted` and `held_out` are parts of `kept`; `languages`
    and `licences` count it."""

    settings: dict[str, Any]
    read: Count
    kept: Count
    redacted: Count
    held_out: Count
    dropped: dict[str, Count]
    kinds: dict[str, Count]
    languages: dict[str, Count]
    licences: dict[str, Count]

    def line(self) -> dict[str, Any]:
        """The counts of files that a run ends with; `held_out` only when there are such files."""
        held_out = {"held_out": self.held_out.files} if self.held_out.files else {}
        return {
            "read": self.read.files,
            "kept": self.kept.files,
            "dropped": {reason: count.files for reason, count in self.dropped.items()},
            "redacted": self.redacted.files,
            **held_out,
            "bytes": self.kept.bytes,
            "languages": len([name for name in self.languages if name]),
        }

    def to_json(self) -> str:
        """The report as JSON, the most frequent first in each table."""
        return json.dumps({"format": FORMAT, "version": VERSION, **asdict(self)}, indent=1, ensure_ascii=False)


def tallies(storage: Storage, layout: Layout) -> pa.Table:
    """One tally of all shards, with the columns of `TALLY`. Raises `FormatError`."""
    whole = TALLY.empty_table()
    names = [output_name("statistics", shard) for shard in range(len(layout.shards))]
    for start in range(0, len(names), _TALLIES):
        some = [Aligned(storage, dict.fromkeys(TALLY.names, name)).table() for name in names[start : start + _TALLIES]]
        whole = added_up(pa.concat_tables([whole, *some]))
    return whole


def make_report(storage: Storage, layout: Layout) -> Report:
    """Count what became of every row of a run that is finished."""
    rows = tallies(storage, layout).to_pylist()
    kept = [row for row in rows if row["reason"] is None]
    dropped = [row for row in rows if row["reason"] is not None]
    settings = {name: value for name, value in to_mapping(layout.settings).items() if name != "sources"}
    return Report(
        settings,
        _total(rows),
        _total(kept),
        _total([row for row in kept if row["redacted"]]),
        _total([row for row in kept if row["held_out"]]),
        count_by(dropped, "reason"),
        count_by(kept, "kind"),
        count_by(kept, "language"),
        count_by(kept, "licence"),
    )


def _total(rows: list[dict[str, Any]]) -> Count:
    return Count(sum(row["files"] for row in rows), sum(row["bytes"] for row in rows))


def count_by(rows: list[dict[str, Any]], column: str) -> dict[str, Count]:
    """Files and bytes by the values of a column (null becomes ""), the most files first."""
    files: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for row in rows:
        name = row[column] or ""
        files[name] += row["files"]
        sizes[name] += row["bytes"]
    return {name: Count(files[name], sizes[name]) for name in sorted(files, key=lambda name: (-files[name], name))}
