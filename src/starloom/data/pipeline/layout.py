"""A run's layout, `run.json`: its settings, which sources make which shard, and how many buckets there are.

Sources are taken in the order of their names, whatever order they were given in, and each shard gets whole sources until it
has about the size that the settings ask for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from starloom.core.errors import FormatError, InputError
from starloom.core.settings import from_mapping, to_mapping
from starloom.data.pipeline.markers import digest
from starloom.data.pipeline.settings import DataSettings
from starloom.data.pipeline.storage import Storage

FILE, FORMAT, VERSION = "run.json", "starloom.data.run", 1


@dataclass(frozen=True)
class SourceLine:
    """A source by its address, its size in bytes (an estimate of its text), and an identity that changes with its content."""

    address: str
    size: int
    identity: str


@dataclass(frozen=True)
class Layout:
    """How a run is cut in parts."""

    settings: DataSettings
    shards: tuple[tuple[SourceLine, ...], ...]

    @property
    def num_buckets(self) -> int:
        """The number of buckets of every exchange."""
        return self.settings.buckets

    def num_parts(self, per: str) -> int:
        """How many parts a step has that runs once a shard, once a bucket, or once."""
        return {"shard": len(self.shards), "bucket": self.num_buckets, "run": 1}[per]

    def sources_of(self, shard: int) -> tuple[str, ...]:
        """The addresses of a shard's sources."""
        return tuple(line.address for line in self.shards[shard])

    def identities(self) -> list[str]:
        """One fingerprint a shard of the sources in it."""
        return [digest([[line.address, line.identity] for line in shard]) for shard in self.shards]

    @cached_property
    def digest(self) -> str:
        """Names this layout."""
        return digest(to_mapping(self.settings), self.identities())

    def to_mapping(self) -> dict[str, Any]:
        """Plain values for JSON."""
        shards = [[to_mapping(line) for line in shard] for shard in self.shards]
        return {"format": FORMAT, "version": VERSION, "settings": to_mapping(self.settings), "shards": shards}


def make_layout(settings: DataSettings, sources: Iterable[SourceLine]) -> Layout:
    """Cut `sources` into shards of about `settings.shard_bytes`. Raises `InputError` for a source that is given twice."""
    shards: list[list[SourceLine]] = []
    size = settings.shard_bytes
    ordered = sorted(sources, key=lambda line: (line.address.rpartition("/")[2], line.address))
    for before, line in zip([None, *ordered], ordered, strict=False):
        if before is not None and before.address == line.address:
            raise InputError(f"the source '{line.address}' is given twice: once is enough")
        if size >= settings.shard_bytes:
            shards.append([])
            size = 0
        shards[-1].append(line)
        size += line.size
    return Layout(settings, tuple(map(tuple, shards)))


def write_layout(storage: Storage, layout: Layout) -> None:
    """Write `run.json`."""
    storage.write(FILE, (json.dumps(layout.to_mapping(), indent=1, ensure_ascii=False) + "\n").encode())


def read_layout(storage: Storage) -> Layout:
    """The layout of the run at `storage`. Raises `InputError` when there is no run, `FormatError` when it is damaged."""
    data = storage.read(FILE)
    if data is None:
        raise InputError(f"there is no run at '{storage.url}': 'starloom data run' makes one")
    try:
        values = json.loads(data)
        if (values["format"], values["version"]) != (FORMAT, VERSION):
            raise FormatError(f"'{storage.place(FILE)}' is of another kind or version")
        shards = tuple(tuple(SourceLine(**line) for line in shard) for shard in values["shards"])
        return Layout(from_mapping(DataSettings, values["settings"]), shards)
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"'{storage.place(FILE)}' is damaged: {error}") from error
