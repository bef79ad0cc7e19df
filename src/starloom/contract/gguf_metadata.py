"""Reads the metadata of a GGUF file (versions 2 and 3), checking every length against the file.

The `gguf` package reads the same, and the tests hold this against it; but it believes the lengths it finds, so that a
damaged file can keep it busy for ever, and it needs two seconds for a vocabulary that takes a tenth of one here, at
the start of every completion. Stops where the metadata ends: knows nothing of tensors.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from starloom.core.errors import FormatError

_SCALARS: Final = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""The `struct` letter of each type of value; 8 is a text and 9 an array."""

_TEXT, _ARRAY = 8, 9
_VERSIONS = (2, 3)


def read_gguf_metadata(path: Path, wanted: Callable[[str], bool]) -> dict[str, Any]:
    """The metadata of `path` under the keys that are `wanted`. Raises `FormatError`."""
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _read(_Cursor(data), wanted)
    except (FormatError, UnicodeDecodeError, ValueError) as error:
        raise FormatError(f"'{path}' is damaged, truncated or no GGUF file: {error}") from None


def _read(cursor: _Cursor, wanted: Callable[[str], bool]) -> dict[str, Any]:
    if cursor.take(4) != b"GGUF":
        raise FormatError("it does not begin with 'GGUF'")
    if (version := cursor.number("I")) not in _VERSIONS:
        raise FormatError(f"it is of version {version}; known are {_VERSIONS[0]} and {_VERSIONS[1]}, little-endian")
    _, count = cursor.number("Q"), cursor.number("Q")
    found = {}
    for _ in range(count):
        key = cursor.text()
        value = cursor.value(cursor.number("I"))
        if wanted(key):
            found[key] = value
    return found


class _Cursor:
    """A place in the file that moves on with what is read."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data, self._place = data, 0

    def take(self, size: int) -> bytes:
        end = self._place + size
        if end > len(self._data):
            raise FormatError(f"it ends after {len(self._data)} bytes, inside its metadata")
        piece = self._data[self._place : end]
        self._place = end
        return piece

    def number(self, letter: str) -> Any:
        return self.numbers(letter, 1)[0]

    def numbers(self, letter: str, count: int) -> tuple[Any, ...]:
        data = self.take(struct.calcsize(f"<{letter}") * count)
        return struct.unpack(f"<{count}{letter}", data)

    def text(self) -> str:
        return self.take(self.number("Q")).decode()

    def value(self, kind: int) -> Any:
        if kind == _TEXT:
            return self.text()
        if kind == _ARRAY:
            return self.array(self.number("I"), self.number("Q"))
        return self.number(_letter(kind))

    def array(self, kind: int, count: int) -> list[Any]:
        if kind == _TEXT:
            return [self.text() for _ in range(count)]
        return list(self.numbers(_letter(kind), count))


def _letter(kind: int) -> str:
    if kind not in _SCALARS:
        raise FormatError(f"it holds a value of the unknown type {kind}")
    return _SCALARS[kind]
