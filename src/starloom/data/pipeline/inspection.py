"""Looking at single files of a run: what was found about each, why it was dropped, and how its text begins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from starloom.data.pipeline.finished import FinishedRun

COLUMNS = (
    *("id", "repository", "revision", "path", "kind", "size", "encoding", "language", "language_confident"),
    *("is_vendor", "is_generated", "licence", "licence_type", "licence_source", "syntax_errors", "malware_signs"),
    *("held_out", "num_redacted", "redacted_kinds", "exact_survivor", "near_survivor", "reason", "reason_step", "reason_detail"),
)


@dataclass(frozen=True)
class Filter:
    """Which files to show; None does not matter. `reason` is one of the run's or `kept`, `path` a shell pattern over
    `REPOSITORY/PATH`."""

    reason: str | None = None
    path: str | None = None
    language: str | None = None

    def takes(self, row: dict[str, Any]) -> bool:
        """Whether a file is to be shown."""
        return (
            (self.reason is None or (row["reason"] or "kept") == self.reason)
            and (self.path is None or fnmatchcase(f"{row['repository']}/{row['path']}", self.path))
            and (self.language is None or row["language"] == self.language)
        )


def inspect(run: FinishedRun, wanted: Filter, count: int, lines: int = 10) -> Iterator[dict[str, Any]]:
    """The first `count` files that `wanted` takes: all that was found, `survivor` by its name, and `text`, its first lines."""
    for table in run.tables(*COLUMNS):
        for row in table.to_pylist():
            if not wanted.takes(row):
                continue
            if count == 0:
                return
            count -= 1
            yield {**row, "survivor": _survivor(run, row), "text": _beginning(run, row["id"], lines)}


def _survivor(run: FinishedRun, row: dict[str, Any]) -> str | None:
    survivor = row["exact_survivor"] if row["exact_survivor"] is not None else row["near_survivor"]
    if survivor is None:
        return None
    named = run.row(survivor, "repository", "path")
    return f"{named['repository']}/{named['path']}"


def _beginning(run: FinishedRun, id_: int, lines: int) -> str | None:
    texts = run.row(id_, "redacted_text", "text")
    text = texts["redacted_text"] if texts["redacted_text"] is not None else texts["text"]
    return None if text is None else "\n".join(line[:200] for line in text.split("\n", lines)[:lines])
