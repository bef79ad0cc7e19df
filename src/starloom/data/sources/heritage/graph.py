"""Repositories of Software Heritage: chosen and walked in the graph's tables, read from its contents (specification §5.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from starloom.core.errors import SettingsError
from starloom.data.sources.heritage.contents import Wanted, fetch
from starloom.data.sources.heritage.facts import read_facts
from starloom.data.sources.heritage.selection import Rejected, Root, select
from starloom.data.sources.heritage.tables import Graph
from starloom.data.sources.heritage.trees import Content, TreeFile, files_below, read_contents_table, read_directories
from starloom.data.sources.record import MISSING, TOO_LARGE, ReadSettings, Record


@dataclass(frozen=True)
class HeritageGraph:
    """The GitHub repositories of the export at `graph` (a folder of ORC tables), with contents at `contents/<sha1>`.

    `events` are GitHub Archive's, for default branches, stars and licences; None when there are none. Repositories are walked
    `batch` at a time and origins chosen in `passes`: more of either is less memory and more reading of tables.
    """

    graph: str
    contents: str
    events: str | None = None
    batch: int = 10_000
    passes: int = 1

    def __post_init__(self) -> None:
        for name in ("batch", "passes"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} is {getattr(self, name)}; it must be at least 1")

    def records(self, settings: ReadSettings) -> Iterator[Record]:
        """One record a file, repository by repository, and one for each repository that is not read. Raises `InputError`."""
        facts, problems = ({}, []) if self.events is None else read_facts(self.events)
        yield from (problem.record() for problem in problems)
        waiting: list[Root] = []
        with Graph(self.graph) as graph:
            for found in select(graph, facts, settings, self.passes):
                if isinstance(found, Rejected):
                    yield Record(found.repository, ".", "file", None, 0, refused=found.reason, detail=found.detail)
                    continue
                waiting.append(found)
                if len(waiting) == self.batch:
                    yield from self._read(graph, waiting, settings)
                    waiting = []
            yield from self._read(graph, waiting, settings)

    def _read(self, graph: Graph, roots: list[Root], settings: ReadSettings) -> Iterator[Record]:
        if not roots:
            return
        directories = read_directories(graph, {root.directory for root in roots})
        targets = {entry.target for entries in directories.values() for entry in entries or () if entry.kind == "file"}
        contents = read_contents_table(graph, targets)
        wanted = (
            _wanted(root, file, contents, settings)
            for root in roots
            for file in files_below(root.directory, directories, settings.limits)
        )
        yield from fetch(wanted, self.contents, settings)


def _wanted(root: Root, file: TreeFile, contents: dict[str, Content], settings: ReadSettings) -> Wanted:
    content = contents.get(file.target)
    size = 0 if content is None or file.refused else content.length
    refused = file.refused or (TOO_LARGE if size > settings.max_file_bytes else MISSING)
    record = Record(
        root.repository,
        file.path,
        "file",
        None,
        size,
        revision=root.revision,
        date=root.date or None,
        stars=root.stars,
        licence=root.licence,
        refused=refused,
    )
    return Wanted(record, "" if content is None else content.sha1)
