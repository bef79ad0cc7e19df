"""What every source gives: one record a file, thread, commit or pair, with its content or the reason why it has none.

One type for all sources, so that the stages behind them need to know of one only. Nothing that a source holds is passed
over silently: what cannot be read is a record with `refused`, so that records read = documents kept + dropped. A source
that cannot be read at all raises `InputError` instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from starloom.core.errors import SettingsError
from starloom.data.sources.rawfile import Limits

TOO_LARGE = "too large"
DAMAGED = "damaged"
MISSING = "content missing"
REPEATED = "repeated record"

Kind: TypeAlias = Literal[
    "file", "commit", "issue", "pull request", "notebook", "notebook script", "documentation", "question", "intermediate code"
]


@dataclass(frozen=True, slots=True)
class Record:
    """One thing that a source holds.

    A `file` is its bytes as they are. Every other kind is UTF-8 text made by a template of the specification (§3 and §4),
    in which the texts of special tokens are special tokens and nothing that a user wrote is one (see `rendering`); only
    `documentation` is plain text again. `content` is None when the record is `refused`; `detail` says more about that.
    `size` counts the bytes that the source holds, so it can differ from the length of a rendered `content`.

    What the source says of itself, each None when it says nothing: `revision` (a version, commit or Software Heritage id),
    `date` (ISO 8601 in UTC), `stars`, `language` (Linguist's name), `licence` (SPDX expression), `encoding` (Python's name).
    """

    repository: str
    path: str
    kind: Kind
    content: bytes | None
    size: int
    revision: str | None = None
    date: str | None = None
    stars: int | None = None
    language: str | None = None
    licence: str | None = None
    encoding: str | None = None
    refused: str | None = None
    detail: str = ""

    def __post_init__(self) -> None:
        assert (self.content is None) == (self.refused is not None), "a record has content or a reason"


@dataclass(frozen=True)
class ReadSettings:
    """How sources are read, whatever they are.

    `max_file_bytes`: larger files are listed and never read (The Stack v2 fetched objects up to 10 MB, §5.1). `seed` decides
    all that a template draws at random, together with the record's own name, so that one more record changes no other.
    `buckets` files in `scratch` (the machine's temporary folder when None) group what is spread over a source (events of
    an issue, answers of a question); memory is that of one bucket. `workers` fetch contents at a time.
    """

    max_file_bytes: int = 10_000_000
    limits: Limits = field(default_factory=Limits)
    seed: int = 0
    buckets: int = 64
    scratch: Path | None = None
    workers: int = 16

    def __post_init__(self) -> None:
        for name in ("max_file_bytes", "buckets", "workers"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} is {getattr(self, name)}; it must be at least 1")


class RecordSource(Protocol):
    """A place that holds records, with the settings of its kind."""

    def records(self, settings: ReadSettings) -> Iterator[Record]:
        """Every record, always in the same order, in bounded memory. Raises `InputError` for a source that cannot be read."""
        ...
