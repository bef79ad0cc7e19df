"""Which repositories are held out for validation: those that the settings name, and a share of all others.

Decided row by row from the repository's name, so that one more source moves no other. That each named repository is there
can only be told from all shards together: their names meet in one part.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from starloom.core.errors import InputError
from starloom.data.held_out import canonical, close_names, not_among
from starloom.data.orders import draw
from starloom.data.pipeline.rows import each, table_of
from starloom.data.pipeline.settings import ValidationSettings
from starloom.data.pipeline.stages.ingest import SOURCE_UNREADABLE
from starloom.data.pipeline.step import Step

SINGLE_KINDS = frozenset({"question"})
"""Records of one site, which is no repository: each is drawn for itself."""

SCHEMA = pa.schema([pa.field("held_out", pa.bool_())])
NAMES = pa.schema([pa.field("name", pa.string()), pa.field("repository", pa.string()), pa.field("found", pa.bool_())])
"""For each name asked for, the repositories of a shard that it may mean."""


def split_steps(settings: ValidationSettings, seed: int) -> tuple[Step, ...]:
    """The steps for these settings."""
    stages = _Split(settings, seed)
    known = {"repositories": sorted(stages.names), "share": settings.share, "seed": seed}
    split = Step("split", SCHEMA, stages.split, reads=("repository", "path", "kind"), settings=known)
    if not stages.names:
        return (split,)
    reads = ("repository", "ingest.dropped")
    named = {"repositories": sorted(settings.repositories)}
    return (
        split,
        Step("validation_names", NAMES, stages.candidates, reads=reads, gives="to run", settings=named, whole=True),
        Step("validation", NAMES, checked, takes=("validation_names",), per="run", gives="table"),
    )


class _Split:
    """The steps that depend on settings."""

    def __init__(self, settings: ValidationSettings, seed: int) -> None:
        self._asked, self._share, self._seed = settings.repositories, settings.share, seed
        self.names = frozenset(map(canonical, settings.repositories))

    def split(self, table: pa.Table) -> pa.Table:
        """Whether each record is held out."""
        rows = each(table, "repository", "path", "kind")
        return table_of(({"held_out": self._held_out(*values)} for values in rows), SCHEMA)

    def _held_out(self, repository: str, path: str, kind: str) -> bool:
        name = canonical(repository)
        drawn = (name, path) if kind in SINGLE_KINDS else (name,)
        return name in self.names or draw(self._seed, "validation", *drawn) < self._share * 2.0**64

    def candidates(self, table: pa.Table) -> pa.Table:
        """The repository of each name, or those of a similar one. A source that could not be read may have been it."""
        known, lost = _names_of(table)
        rows: list[dict[str, Any]] = []
        for name in self._asked:
            if canonical(name) in lost or canonical(name) in known:
                rows.append({"name": name, "repository": known.get(canonical(name), name), "found": True})
            else:
                rows.append({"name": name, "repository": None, "found": False})
                rows += [{"name": name, "repository": other, "found": False} for other in close_names(name, known)]
        return pa.Table.from_pylist(rows, schema=NAMES)


def _names_of(table: pa.Table) -> tuple[dict[str, str], set[str]]:
    """The repositories of a shard by their canonical names, and what sources that could not be read may be called."""
    known: dict[str, str] = {}
    lost: set[str] = set()
    for repository, refused in each(table, "repository", "ingest.dropped"):
        if refused == SOURCE_UNREADABLE:
            lost |= {canonical(repository), canonical(repository.split("-")[0])}
        else:
            known.setdefault(canonical(repository), repository)
    return known, lost


def checked(rows: pa.Table) -> pa.Table:
    """The rows of names that were found. Raises `InputError` for one that no source has."""
    found = rows.filter(rows.column("found"))
    missing = sorted(set(rows.column("name").to_pylist()) - set(found.column("name").to_pylist()))
    if missing:
        close = {
            canonical(repository): repository
            for name, repository, _ in each(rows, *NAMES.names)
            if name == missing[0] and repository is not None
        }
        raise InputError(not_among(missing[0], close_names(missing[0], close)))
    return found.sort_by([(name, "ascending") for name in NAMES.names])
