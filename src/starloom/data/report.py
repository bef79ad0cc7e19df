"""What a build did, counted: written as `report.json` and shown by the command line. Holds no times and no places on the disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from starloom.data.licences.policies import is_permissive, open_policy
from starloom.data.repositories import Repository
from starloom.data.sequences import TokenCount

FORMAT, VERSION = "starloom.data.report", 1


@dataclass(slots=True)
class Count:
    """Files and their bytes."""

    files: int = 0
    bytes: int = 0

    def add(self, size: int) -> None:
        """Count one file."""
        self.files += 1
        self.bytes += size


class Table(dict[str, Count]):
    """Counts by name; a name that is new starts at nothing."""

    def __missing__(self, name: str) -> Count:
        self[name] = Count()
        return self[name]


@dataclass(frozen=True, slots=True)
class RepositoryLine:
    """One repository of the report: what it is, what was kept of it, its licence with the evidence."""

    repository: str
    version: str | None
    source: str
    kind: str
    split: str
    read: int
    kept: int
    kept_bytes: int
    licence: str | None
    licence_source: str
    permissive: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """A source that could not be read, and why."""

    source: str
    error: str


@dataclass(slots=True)
class Report:
    """`read` = the sum of `kept` + the sum of `dropped`, in files and in bytes."""

    settings: dict[str, Any]
    read: Count = field(default_factory=Count)
    kept: dict[str, Count] = field(default_factory=lambda: {"train": Count(), "validation": Count()})
    dropped: Table = field(default_factory=Table)
    languages: Table = field(default_factory=Table)
    licences: Table = field(default_factory=Table)
    repositories: list[RepositoryLine] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    tokenizer: dict[str, Any] | None = None
    tokens: dict[str, TokenCount] = field(default_factory=dict)

    @property
    def num_kept(self) -> int:
        """How many documents were kept."""
        return sum(count.files for count in self.kept.values())

    def to_json(self, indent: int | None = None) -> str:
        """The report as JSON, the most frequent first in each table."""
        values = {"format": FORMAT, "version": VERSION, "licence_policy": open_policy().name, **asdict(self)}
        for table in ("dropped", "languages", "licences"):
            values[table] = dict(sorted(values[table].items(), key=lambda item: (-item[1]["files"], item[0])))
        return json.dumps(values, indent=indent, ensure_ascii=False)


def make_report(repositories: Sequence[Repository], failed: Sequence[Failure], settings: dict[str, Any]) -> Report:
    """Count what became of every file."""
    report = Report(settings, failed=list(failed))
    for repository in repositories:
        _count(repository, report)
    return report


def _count(repository: Repository, report: Report) -> None:
    split, kept = ("validation" if repository.held_out else "train"), Count()
    for entry in repository.entries:
        report.read.add(entry.size)
        if entry.reason is not None:
            report.dropped[entry.reason].add(entry.size)
            continue
        kept.add(entry.size)
        for count in (report.kept[split], report.languages[entry.language], report.licences[entry.licence or "unknown"]):
            count.add(entry.size)
    report.repositories.append(
        RepositoryLine(
            repository.name,
            repository.version,
            repository.source.path.name,
            repository.source.kind,
            split,
            len(repository.entries),
            kept.files,
            kept.bytes,
            repository.licence,
            repository.licence_source,
            is_permissive(repository.licence),
        )
    )
