"""Events of GitHub Archive (`*.json.gz`, one event a line), read as a stream from a folder, a file or object storage.

A line that is not an event, and a file that ends in damage, is told as a `Problem` and costs nothing else. Knows the outer
form of events only.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from starloom.data.sources.places import open_files
from starloom.data.sources.record import DAMAGED, TOO_LARGE, Record

NOT_AN_EVENT = "not an event"

_LINE_BYTES = 64 * 2**20
_DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile)


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its id, its type, who caused it, in which repository (`owner/name`), when (ISO 8601), and its payload."""

    id: str
    type: str
    actor: str
    repository: str
    date: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Problem:
    """A part of the input that holds no event."""

    place: str
    reason: str
    size: int
    detail: str = ""

    def record(self) -> Record:
        """The record that accounts for it."""
        return Record("", self.place, "file", None, self.size, refused=self.reason, detail=self.detail)


def read_events(url: str) -> Iterator[Event | Problem]:
    """Every event below `url` (anything that fsspec opens), files by name, lines in order. Raises `InputError` for no files."""
    for stream, name in open_files(url, (".json.gz", ".json", ".jsonl.gz", ".jsonl")):
        yield from _read_lines(stream, name)


def _read_lines(stream: IO[bytes], name: str) -> Iterator[Event | Problem]:
    lines: Any = gzip.GzipFile(fileobj=stream, mode="rb") if name.endswith(".gz") else stream
    number = 0
    try:
        while line := lines.readline(_LINE_BYTES):
            number += 1
            place = f"{name}:{number}"
            if len(line) == _LINE_BYTES and not line.endswith(b"\n"):
                yield Problem(place, TOO_LARGE, len(line) + _skip_line(lines))
            elif line.strip():
                yield _event(line) or Problem(place, NOT_AN_EVENT, len(line))
    except _DAMAGE as error:
        yield Problem(name, DAMAGED, 0, f"after line {number}: {error}")


def _skip_line(lines: IO[bytes]) -> int:
    skipped = 0
    while part := lines.readline(2**20):
        skipped += len(part)
        if part.endswith(b"\n"):
            break
    return skipped


def _event(line: bytes) -> Event | None:
    try:
        values = json.loads(line)
        event = Event(
            str(values["id"]),
            values["type"],
            values["actor"]["login"],
            values["repo"]["name"],
            values["created_at"],
            values["payload"],
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    texts = (event.type, event.actor, event.repository, event.date)
    return event if all(isinstance(text, str) for text in texts) and isinstance(event.payload, dict) else None


def at(values: Any, *keys: str) -> Any:
    """`values[key][key]...`, or None where a level is missing or no table."""
    for key in keys:
        values = values.get(key) if isinstance(values, dict) else None
    return values


def text_at(values: Any, *keys: str) -> str:
    """The text at `keys`; empty when there is none. Line ends become `\\n`."""
    value = at(values, *keys)
    return value.replace("\r\n", "\n") if isinstance(value, str) else ""


def number_at(values: Any, *keys: str) -> int | None:
    """The whole number at `keys`, or None."""
    value = at(values, *keys)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
