"""Files of a plain folder, in a fixed order. Links are listed and never followed; version-control stores are passed over."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from starloom.core.errors import InputError
from starloom.data.sources.rawfile import LINK, NOT_REGULAR, UNUSABLE_PATH, RawFile, is_unusable, refused

STORES = frozenset({".git", ".hg", ".svn", ".bzr", "CVS"})


def read_folder(folder: Path) -> Iterator[RawFile]:
    """Every file below `folder`. Raises `InputError` for a folder or file that cannot be read."""
    pending = [(folder, "")]
    while pending:
        place, prefix = pending.pop()
        folders = []
        for entry in _entries(place):
            path = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in STORES:
                    folders.append((Path(entry.path), path + "/"))
            else:
                yield _file(entry, path)
        pending += reversed(folders)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"'{folder}' cannot be listed: {error.strerror}") from error


def _file(entry: os.DirEntry[str], path: str) -> RawFile:
    if entry.is_symlink():
        return refused(path, 0, LINK)
    size = entry.stat(follow_symlinks=False).st_size
    if not entry.is_file(follow_symlinks=False):
        return refused(path, 0, NOT_REGULAR)
    if is_unusable(path):
        return refused(path, size, UNUSABLE_PATH)
    return RawFile(path, size, lambda: _read(entry.path, size))


def _read(path: str, size: int) -> bytes:
    """The first `size` bytes of a regular file; a link put in its place meanwhile is an error and is not followed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as stream:
            return stream.read(size)
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror}") from error
