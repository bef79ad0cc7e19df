"""Files at an address: a path, or whatever else fsspec opens (`s3://...`). Listed by name, opened one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import IO

from starloom.core.errors import InputError, require


@dataclass(frozen=True, slots=True)
class Place:
    """One file: its name below the address that was asked for, its own full address, and how to open it."""

    name: str
    address: str
    open: Callable[[], IO[bytes]]


def files_at(url: str, endings: tuple[str, ...]) -> list[Place]:
    """The files with one of `endings` below `url`, or `url` itself, by name. Raises `InputError` when there is none."""
    fsspec = require("fsspec", "data")
    try:
        filesystem, root = fsspec.core.url_to_fs(url)
        found = [root] if filesystem.isfile(root) else filesystem.find(root)
    except (OSError, ValueError) as error:
        raise InputError(f"'{url}' cannot be listed: {error}") from error
    names = sorted(name for name in found if name.endswith(endings))
    if not names:
        raise InputError(f"there is no file ending in {' or '.join(endings)} at '{url}'")
    return [
        Place(
            name[len(root) :].lstrip("/") or name.rpartition("/")[2],
            filesystem.unstrip_protocol(name),
            partial(filesystem.open, name, "rb"),
        )
        for name in names
    ]


def open_files(url: str, endings: tuple[str, ...]) -> Iterator[tuple[IO[bytes], str]]:
    """The same files, opened: each stream with its name. Raises `InputError`."""
    for place in files_at(url, endings):
        try:
            stream = place.open()
        except OSError as error:
            raise InputError(f"'{place.address}' cannot be read: {error}") from error
        with stream:
            yield stream, place.name
