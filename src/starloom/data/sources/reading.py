"""The one door to every kind of source: from the settings of a recipe to records.

records(source_from({"kind": "files", "path": "project.tar.gz"}), ReadSettings())
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from starloom.core.errors import SettingsError
from starloom.core.settings import from_mapping
from starloom.data.sources.commits import Commits
from starloom.data.sources.documentation import Documentation
from starloom.data.sources.files import Files
from starloom.data.sources.github.issues import Issues
from starloom.data.sources.github.pull_requests import PullRequests
from starloom.data.sources.heritage.graph import HeritageGraph
from starloom.data.sources.heritage.stack_v2 import StackV2
from starloom.data.sources.intermediate_code import IntermediateCode
from starloom.data.sources.record import ReadSettings, Record, RecordSource
from starloom.data.sources.stack_overflow import StackOverflow

KINDS: dict[str, type[RecordSource]] = {
    "files": Files,
    "commits": Commits,
    "issues": Issues,
    "pull requests": PullRequests,
    "software heritage": HeritageGraph,
    "stack v2": StackV2,
    "documentation": Documentation,
    "stack overflow": StackOverflow,
    "intermediate code": IntermediateCode,
}


def source_from(values: Mapping[str, Any]) -> RecordSource:
    """The source that a table of plain values describes: its `kind` and that kind's settings. Raises `SettingsError`."""
    kind = values.get("kind", "files")
    if kind not in KINDS:
        raise SettingsError(f"the kind of a source is {kind!r}; it must be one of {', '.join(map(repr, KINDS))}")
    return from_mapping(KINDS[kind], {name: value for name, value in values.items() if name != "kind"})


def records(source: RecordSource, settings: ReadSettings) -> Iterator[Record]:
    """Every record of `source`, always in the same order, in bounded memory. Raises `InputError`, `SettingsError`."""
    return source.records(settings)
