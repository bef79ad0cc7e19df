"""Where a run's files lie: a folder, or a place that fsspec knows (`s3://...`). Files are whole or absent in both.

Locally a file is written beside its destination and renamed; an object store shows an object only when it is complete.
Knows nothing of what is in the files.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO

from starloom.core.errors import FormatError, InputError, PipelineError, require
from starloom.core.files import new_file

READERS = 32
"""Files to read at a time where each is small: one takes tens of milliseconds in an object store."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Storage:
    """The files below `url`, by their names with `/`. Raises `InputError` for a place that cannot be used."""

    def __init__(self, url: str) -> None:
        fsspec = require("fsspec", "data")
        if url.startswith("s3://"):
            require("s3fs", "cluster")
        try:
            self._files, self._root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise InputError(f"'{url}' is no place for a run: {error}; give a folder or s3://bucket/prefix") from error
        self.url = url.rstrip("/")
        self._local = self._files.protocol in ("file", ("file", "local"))

    def place(self, name: str) -> str:
        """The full name of a file, for messages and readers."""
        return f"{self._root}/{name}" if self._local else f"{self.url}/{name}"

    def size(self, name: str) -> int | None:
        """The bytes of a file, None when it does not exist."""
        try:
            return int(self._files.info(self._at(name))["size"])
        except FileNotFoundError:
            return None

    def read(self, name: str) -> bytes | None:
        """A whole file, None when it does not exist."""
        try:
            return bytes(self._files.cat_file(self._at(name)))
        except FileNotFoundError:
            return None

    def read_range(self, name: str, start: int, length: int) -> bytes:
        """`length` bytes of a file, or as many as there are. Raises `FormatError` when it is missing."""
        try:
            return bytes(self._files.cat_file(self._at(name), start=start, end=start + length))
        except FileNotFoundError as error:
            raise self._missing(name) from error

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """A file for reading. Raises `FormatError` when it is missing."""
        try:
            stream = self._files.open(self._at(name), "rb")
        except FileNotFoundError as error:
            raise self._missing(name) from error
        with stream:
            yield stream

    def names(self, folder: str) -> list[str]:
        """The names of the files of one folder, sorted; none when there is no such folder."""
        try:
            found = self._files.ls(self._at(folder), detail=False)
        except FileNotFoundError:
            return []
        return sorted(place.rstrip("/").rpartition("/")[2] for place in found)

    def remove(self, name: str) -> None:
        """Remove a file that exists."""
        self._files.rm_file(self._at(name))

    @contextmanager
    def new(self, name: str) -> Iterator[Path]:
        """A temporary local path; on success it becomes the file `name`, on any error nothing does.

        Raises `PipelineError` when the disk is full; what was there before stays.
        """
        with _naming_full_disk(self.place(name)):
            if self._local:
                with new_file(Path(self._at(name))) as partial:
                    yield partial
            else:
                with tempfile.TemporaryDirectory(prefix="starloom-") as folder:
                    partial = Path(folder) / "partial"
                    yield partial
                    self._files.put_file(str(partial), self._at(name))

    def write(self, name: str, data: bytes) -> None:
        """Replace a file in one step."""
        with self.new(name) as partial:
            partial.write_bytes(data)

    def take(self, path: Path, name: str) -> None:
        """Move a local file here."""
        with self.new(name) as partial:
            path.replace(partial)

    def folder(self) -> Path | None:
        """The folder itself when it is on this machine, for work that is too large for its memory."""
        return Path(self._root) if self._local else None

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _missing(self, name: str) -> FormatError:
        return FormatError(f"'{self.place(name)}' is missing: run again, it will be computed anew")


@cache
def storage_at(url: str) -> Storage:
    """The storage at `url`, opened once a process."""
    return Storage(url)


@contextmanager
def _naming_full_disk(place: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if not says_full(error):
            raise
        raise PipelineError(
            f"there is no room left to write '{place}' ({error.strerror or error}): nothing half-written stays and all "
            "that was finished is kept; make room and run the same command again"
        ) from error


def says_full(error: OSError) -> bool:
    """Whether a disk is full, also by the words of a library that lost the number of the error (pyarrow)."""
    return error.errno in _FULL or "No space left" in str(error) or "File too large" in str(error)
