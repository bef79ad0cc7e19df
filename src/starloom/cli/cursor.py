"""A cursor on the command line: `FILE`, `FILE:LINE` or `FILE:LINE:COL`, counted from 1; `-` is standard input."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from starloom.core.errors import InputError

LARGEST = 16 * 2**20
"""Bytes of the largest file that is completed."""

_POSITION = re.compile(r"(?P<name>.+?):(?P<line>\d+)(?::(?P<column>\d+))?")


@dataclass(frozen=True)
class Cursor:
    """A text and a place in it; `name` is for messages and diffs."""

    name: str
    prefix: bytes
    suffix: bytes


def read_cursor(word: str) -> Cursor:
    """Read the file and find the place. A line without a column means the line's end, no line the file's end.

    Raises `InputError` for what is missing, empty, binary, not UTF-8, too large, or outside the file.
    """
    name, line, column = _split(word)
    text = _read(name)
    offset = len(text) if line is None else _offset(text, name, line, column)
    return Cursor(name, text[:offset], text[offset:])


def _split(word: str) -> tuple[str, int | None, int | None]:
    match = _POSITION.fullmatch(word)
    if match is None or Path(word).is_file():
        return word, None, None
    column = match["column"]
    return match["name"], int(match["line"]), None if column is None else int(column)


def _read(name: str) -> bytes:
    if name == "-":
        text = sys.stdin.buffer.read(LARGEST + 1)
    else:
        path = Path(name)
        if not path.exists():
            raise InputError(f"there is no file '{name}'")
        if not path.is_file():
            raise InputError(f"'{name}' is not a file")
        with path.open("rb") as stream:
            text = stream.read(LARGEST + 1)
    if not text:
        raise InputError(f"'{name}' is empty: there is nothing to complete")
    if len(text) > LARGEST:
        raise InputError(f"'{name}' is larger than {LARGEST // 2**20} MiB, the most that is completed")
    if b"\0" in text:
        raise InputError(f"'{name}' is a binary file: it holds a NUL byte at offset {text.index(0)}")
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"'{name}' is not UTF-8: the byte 0x{text[error.start]:02X} at offset {error.start}") from error
    return text


def _offset(text: bytes, name: str, line: int, column: int | None) -> int:
    lines = text.split(b"\n")
    if not 1 <= line <= len(lines):
        raise InputError(f"'{name}' has no line {line}: it has lines 1 to {len(lines)}")
    start = sum(len(before) + 1 for before in lines[: line - 1])
    content = lines[line - 1].removesuffix(b"\r").decode()
    if column is None:
        return start + len(content.encode())
    if not 1 <= column <= len(content) + 1:
        raise InputError(f"line {line} of '{name}' has no column {column}: it has columns 1 to {len(content) + 1}")
    return start + len(content[: column - 1].encode())
