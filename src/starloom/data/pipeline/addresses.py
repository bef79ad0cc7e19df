"""The addresses of sources, as a run writes them down: a path, or JSON with the settings of a kind of source.

    wheels/click-8.1.7-py3-none-any.whl
    {"kind": "commits", "path": "repositories/click"}

Knows what makes two states of a source differ (sizes and times of its files, an object store's ETags), so that a run notices
new content.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from starloom.core.errors import InputError, SettingsError, require
from starloom.data.pipeline.layout import SourceLine
from starloom.data.pipeline.markers import digest
from starloom.data.sources.debian import read_dsc
from starloom.data.sources.heritage.stack_v2 import StackV2
from starloom.data.sources.reading import source_from
from starloom.data.sources.record import RecordSource

PACKED = 4
"""Compressed archives unpack to about so many times their size."""

_PLACES = ("path", "graph", "events", "repositories", "contents", "ratings")
_STAMPS = ("ETag", "etag", "mtime", "LastModified", "last_modified", "updated")  # as file systems of fsspec call them
_UNCHANGING = ("contents",)  # objects that are named by their hash


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


def absolute(address: str) -> str:
    """The same source as seen from any folder. Raises `SettingsError`."""
    values = {name: _absolute(value) if name in _PLACES else value for name, value in described(address).items()}
    if values.keys() == {"kind", "path"} and values["kind"] == "files":
        return str(values["path"])
    return json.dumps(values, sort_keys=True, ensure_ascii=False)


def label(address: str) -> str:
    """A short name of a source, without the places of this machine."""
    values = described(address)
    names = [str(values[name]).rstrip("/").rpartition("/")[2] for name in _PLACES[:2] if name in values]
    kind = values.get("kind", "files")
    return " ".join([*([] if kind == "files" else [kind]), *names])


def source_lines(addresses: Sequence[str]) -> list[SourceLine]:
    """What a layout needs to know of each source. Raises `SettingsError`, and `InputError` for a path where nothing is."""
    return [_line(address) for address in addresses]


def _line(address: str) -> SourceLine:
    source, values = source_at(address), described(address)
    places = [values[name] for name in _PLACES if name not in _UNCHANGING and values.get(name) is not None]
    states = [_state(Path(place)) if _is_local(place) else _remote_state(place) for place in places]
    size = sum(size for size, _ in states)
    if isinstance(source, StackV2):
        with suppress(InputError):  # reading it says what is wrong
            size = source.text_bytes() // source.parts
    return SourceLine(address, size, digest(values, [state for _, state in states]))


def pieces(lines: Sequence[SourceLine], shard_bytes: int) -> Iterator[SourceLine]:
    """The same sources; a table of The Stack v2 is cut by repositories into as many as fill a shard each."""
    for line in lines:
        source = source_at(line.address)
        parts = line.size // shard_bytes if isinstance(source, StackV2) and source.parts == 1 else 1
        if parts <= 1:
            yield line
            continue
        for part in range(parts):
            values = described(line.address) | {"part": part, "parts": parts}
            address = json.dumps(values, sort_keys=True, ensure_ascii=False)
            yield SourceLine(address, line.size // parts, digest(line.identity, part, parts))


def _absolute(value: Any) -> Any:
    return str(Path(value).absolute()) if _is_local(value) else value


def _is_local(value: Any) -> bool:
    return isinstance(value, str) and "://" not in value


def _state(path: Path) -> tuple[int, Any]:
    """The size of what is at `path`, and values that change when it does."""
    if path.is_dir():
        files = sorted(_walk(path))
        return sum(size for _, size, _ in files), files
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"there is no source at '{path}': {error.strerror}") from error
    packed = [(status.st_size, status.st_mtime_ns), *map(_part_state, _parts(path))]
    return sum(size for size, _ in packed) * PACKED, packed


def _parts(path: Path) -> list[Path]:
    """The files that belong to the one at `path`: those that a Debian source package names."""
    try:
        return [path.parent / name for name in sorted(read_dsc(path).files)] if path.suffix.lower() == ".dsc" else []
    except (InputError, OSError):
        return []  # reading it says what is wrong


def _part_state(path: Path) -> tuple[int, int | None]:
    try:
        status = path.stat()
    except OSError:
        return 0, None
    return status.st_size, status.st_mtime_ns


def _remote_state(url: str) -> tuple[int, Any]:
    """The same of what is at an address, as its file system tells it. Raises `InputError` where nothing is."""
    fsspec = require("fsspec", "data")
    try:
        files, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        found = files.find(root, detail=True) or {root: files.info(root)}
    except (OSError, ValueError, ImportError) as error:
        raise InputError(f"there is no source at '{url}': {error}") from error
    lines = [(name, info.get("size") or 0, _stamp(info)) for name, info in sorted(found.items())]
    return sum(size for _, size, _ in lines), lines


def _stamp(info: Mapping[str, Any]) -> str:
    """What changes with a file's content, as far as its file system tells."""
    return next((str(info[name]) for name in _STAMPS if info.get(name)), "")


def _walk(folder: Path) -> Iterator[tuple[str, int, int]]:
    for place, folders, files in os.walk(folder):
        folders.sort()
        for name in files:
            status = (Path(place) / name).lstat()
            yield os.path.relpath(Path(place) / name, folder), status.st_size, status.st_mtime_ns
