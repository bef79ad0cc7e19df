"""Compressed streams by the ending of their name, seekable, so that a tar archive inside can be read in place.

gzip, bzip2 and xz are Python's own; Zstandard is pyarrow's, which only goes forward, so that going back begins anew.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from typing import IO

from starloom.core.errors import require


def decompressed(stream: IO[bytes], name: str) -> IO[bytes]:
    """The content of `stream`, which is compressed as the ending of `name` says; `stream` itself when it says nothing."""
    name = name.lower()
    if name.endswith(("gz", "tgz")):
        return gzip.GzipFile(fileobj=stream, mode="rb")  # type: ignore[return-value]
    if name.endswith(("bz2", "tbz2")):
        return bz2.BZ2File(stream)
    if name.endswith(("xz", "txz", "lzma")):
        return lzma.LZMAFile(stream)
    if name.endswith(("zst", "tzst")):
        return io.BufferedReader(_Zstandard(stream), 2**16)
    return stream


class Window(io.RawIOBase):
    """`size` bytes of `stream` from `offset` on, as a file of their own."""

    def __init__(self, stream: IO[bytes], offset: int, size: int) -> None:
        self._stream, self._offset, self._size, self._place = stream, offset, size, 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a place; one before the start is the start."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Read what is there, at most to the window's end."""
        wanted = min(len(buffer), max(0, self._size - self._place))
        self._stream.seek(self._offset + self._place)
        data = self._stream.read(wanted)
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)


class _Zstandard(io.RawIOBase):
    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._place = stream, 0
        self._begin()

    def _begin(self) -> None:
        arrow = require("pyarrow", "data")
        self._stream.seek(0)
        self._input = arrow.CompressedInputStream(arrow.PythonFile(_Kept(self._stream), mode="r"), "zstd")
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END:
            raise io.UnsupportedOperation("a Zstandard stream does not know its end")
        target = max(0, offset + (self._place if whence == io.SEEK_CUR else 0))
        if target < self._place:
            self._begin()
        while self._place < target and self._skip(min(target - self._place, 2**20)):
            pass
        return self._place

    def _skip(self, size: int) -> int:
        skipped = len(self._read(size))
        self._place += skipped
        return skipped

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)

    def _read(self, size: int) -> bytes:
        data: bytes = self._input.read(size)
        return data


class _Kept(io.RawIOBase):
    """A stream that stays open when its reader is thrown away."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
