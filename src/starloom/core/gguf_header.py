"""Reads the header of a GGUF file: its metadata, and where each tensor lies. Source: the GGUF specification in ggml.

The `gguf` package has a reader too, and the tests hold this against it; but that one trusts every length, so that a
damaged file can keep it busy for ever, and a vocabulary costs it seconds. This one checks each length against the file.
Knows nothing of what keys, tensors and their kinds mean.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from starloom.core.errors import FormatError, InputError
from starloom.core.mapping import mapped

_MAGIC, _VERSIONS, _ALIGNMENT, _MOST_DIMENSIONS = b"GGUF", (2, 3), 32, 4
_NUMBERS: Final = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""The `struct` letter of each type of value; 8 is a text and 9 a list."""

_TEXT, _LIST = 8, 9


@dataclass(frozen=True)
class TensorEntry:
    """A tensor's shape (rows first, as in PyTorch), the number of its ggml kind, and where its bytes begin in the file."""

    shape: tuple[int, ...]
    kind: int
    offset: int


@dataclass(frozen=True)
class GgufHeader:
    """All metadata by key (numbers, texts, lists of those), all tensors by name, and the bytes of the file, mapped."""

    metadata: dict[str, Any]
    tensors: dict[str, TensorEntry]
    data: memoryview


def read_header(path: Path) -> GgufHeader:
    """Read the header of `path`. Raises `InputError` when there is no file, `FormatError` when it is damaged."""
    if not path.is_file():
        raise InputError(f"there is no file at '{path}'")
    if path.stat().st_size == 0:
        raise FormatError(f"'{path}' is empty")
    data = mapped(path)
    try:
        return _header(data)
    except FormatError as error:
        raise FormatError(f"'{path}' is damaged, truncated or no GGUF file: {error}") from None


def _header(data: memoryview) -> GgufHeader:
    cursor = _Cursor(data)
    if cursor.take(4) != _MAGIC:
        raise FormatError("it does not begin with 'GGUF'")
    if (version := cursor.number("I")) not in _VERSIONS:
        raise FormatError(f"it is of version {version}; known are 2 and 3, little-endian")
    num_tensors, num_values = cursor.number("Q"), cursor.number("Q")
    metadata: dict[str, Any] = {}
    for _ in range(num_values):
        key = cursor.text()
        if key in metadata:
            raise FormatError(f"the key '{key}' occurs twice")
        metadata[key] = cursor.value(cursor.number("I"))
    alignment = metadata.get("general.alignment", _ALIGNMENT)
    if type(alignment) is not int or alignment < 1 or alignment & (alignment - 1):
        raise FormatError(f"'general.alignment' is {alignment!r}; it must be a power of two")
    return GgufHeader(metadata, _tensors(cursor, num_tensors, alignment), data)


def _tensors(cursor: _Cursor, count: int, alignment: int) -> dict[str, TensorEntry]:
    entries: dict[str, tuple[tuple[int, ...], int, int]] = {}
    for _ in range(count):
        name = cursor.text()
        if name in entries:
            raise FormatError(f"the tensor '{name}' occurs twice")
        if (num_dimensions := cursor.number("I")) > _MOST_DIMENSIONS:
            raise FormatError(f"the tensor '{name}' has {num_dimensions} dimensions; the most are {_MOST_DIMENSIONS}")
        shape = cursor.numbers("Q", num_dimensions)[::-1]
        entries[name] = shape, cursor.number("I"), cursor.number("Q")
    start = -(-cursor.place // alignment) * alignment
    return {name: TensorEntry(shape, kind, start + offset) for name, (shape, kind, offset) in entries.items()}


class _Cursor:
    """Walks through the bytes and refuses to step over their end."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self.place = 0

    def take(self, count: int) -> memoryview:
        if count > len(self._data) - self.place:
            raise FormatError(f"{count} bytes are announced at byte {self.place} of {len(self._data)}")
        self.place += count
        return self._data[self.place - count : self.place]

    def numbers(self, letter: str, count: int) -> tuple[Any, ...]:
        data = self.take(count * struct.calcsize(f"<{letter}"))
        return struct.unpack(f"<{count}{letter}", data)

    def number(self, letter: str) -> Any:
        return self.numbers(letter, 1)[0]

    def text(self) -> str:
        try:
            return str(self.take(self.number("Q")), "utf-8")
        except UnicodeDecodeError as error:
            raise FormatError(f"the text before byte {self.place} is not UTF-8 ({error.reason})") from None

    def value(self, kind: int) -> Any:
        if kind == _LIST:
            return self._list(self.number("I"), self.number("Q"))
        return self._list(kind, 1)[0]

    def _list(self, kind: int, count: int) -> list[Any]:
        if kind == _TEXT:
            return [self.text() for _ in range(count)]
        if kind not in _NUMBERS:
            raise FormatError(f"a value of the unknown type {kind} before byte {self.place}")
        return list(self.numbers(_NUMBERS[kind], count))
