"""The members of an `ar` archive (`.deb` is one): their places in the file, from the headers alone."""

from __future__ import annotations

from pathlib import Path
from typing import IO

from starloom.core.errors import InputError

_MAGIC = b"!<arch>\n"
_HEADER = 60
_MOST_MEMBERS = 1000


def read_ar(stream: IO[bytes], path: Path) -> dict[str, tuple[int, int]]:
    """Offset and size by the member's name, in order. Raises `InputError` for a damaged or truncated archive."""
    size = stream.seek(0, 2)
    stream.seek(0)
    if stream.read(len(_MAGIC)) != _MAGIC:
        raise InputError(f"'{path}' is damaged or not the archive that its name says: it does not begin as an ar archive does")
    members: dict[str, tuple[int, int]] = {}
    place = len(_MAGIC)
    while place < size:
        stream.seek(place)
        header = stream.read(_HEADER)
        digits = header[48:58].strip()
        if len(header) != _HEADER or header[58:] != b"`\n" or not digits.isdigit() or len(members) == _MOST_MEMBERS:
            raise InputError(f"'{path}' is damaged: no member begins at byte {place:,}")
        start, length = place + _HEADER, int(digits)
        if start + length > size:
            raise InputError(f"'{path}' is truncated: a member at byte {place:,} has {length:,} bytes")
        members.setdefault(header[:16].decode("ascii", "replace").strip().rstrip("/"), (start, length))
        place = start + length + length % 2
    return members
