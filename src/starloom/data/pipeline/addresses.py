"""The addresses of sources, as a run writes them down: a path, or JSON with the settings of a kind of source.

    wheels/click-8.1.7-py3-none-any.whl
    {"kind": "history", "path": "repositories/click"}

Knows what makes two states of a source differ (its size and times, or a commit), so that a run notices new content.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from starloom.core.errors import InputError, SettingsError
from starloom.data.pipeline.layout import SourceLine
from starloom.data.pipeline.markers import digest
from starloom.data.sources.reading import source_from
from starloom.data.sources.record import RecordSource

PACKED = 4
"""Compressed archives unpack to about so many times their size."""


def described(address: str) -> dict[str, Any]:
    """The plain values of a source. Raises `SettingsError`."""
    if not address.lstrip().startswith("{"):
        return {"kind": "files", "path": address}
    try:
        values: dict[str, Any] = json.loads(address)
    except ValueError as error:
        raise SettingsError(f"the source {address!r} is not JSON: {error}") from error
    return values


def source_at(address: str) -> RecordSource:
    """The source at an address. Raises `SettingsError`."""
    return source_from(described(address))


def source_lines(addresses: Sequence[str]) -> list[SourceLine]:
    """What a layout needs to know of each source. Raises `InputError` for a path where nothing is."""
    return [_line(address) for address in addresses]


def _line(address: str) -> SourceLine:
    source_at(address)
    values = described(address)
    states = [_state(Path(value)) for name, value in sorted(values.items()) if _is_path(name, value)]
    identity = digest(values, [state for _, state in states])
    return SourceLine(address, sum(size for size, _ in states), identity)


def _is_path(name: str, value: Any) -> bool:
    return isinstance(value, str) and name in ("path", "folder", "file", "archive", "tables", "contents") and "://" not in value


def _state(path: Path) -> tuple[int, Any]:
    """The size of what is at `path`, and values that change when it does."""
    if path.is_dir():
        files = sorted(_walk(path))
        return sum(size for _, size, _ in files), files
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"there is no source at '{path}': {error.strerror}") from error
    return status.st_size * PACKED, [status.st_size, status.st_mtime_ns]


def _walk(folder: Path) -> Iterator[tuple[str, int, int]]:
    for place, folders, files in os.walk(folder):
        folders.sort()
        for name in files:
            status = (Path(place) / name).lstat()
            yield os.path.relpath(Path(place) / name, folder), status.st_size, status.st_mtime_ns
