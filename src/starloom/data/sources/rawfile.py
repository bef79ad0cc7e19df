"""One file as a source holds it, before anything is known about it; names that we refuse; how much a source may unpack to.

Knows nothing of where the bytes come from: folders, archives and git repositories each give `RawFile`s.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from starloom.core.errors import InputError

LINK = "link"
NOT_REGULAR = "not a regular file"
UNUSABLE_PATH = "unusable path"
REPEATED_PATH = "repeated path"

_DRIVE = re.compile(r"[A-Za-z]:")
_UNUSABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class RawFile:
    """A file: its path inside the source (with `/`), its size in bytes, and how to read it.

    `refused` names why it must not be read (a link, a device, a path that cannot be written down); `read` is good only
    until the next file is asked for.
    """

    path: str
    size: int
    read: Callable[[], bytes]
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What one source may unpack to before we take it for a bomb; checked from the headers, before anything is unpacked."""

    files: int = 1_000_000
    unpacked_bytes: int = 64 * 2**30
    ratio: float = 200.0
    ratio_from_bytes: int = 256 * 2**20


def nothing() -> bytes:
    """The content of a file that is refused: never asked for."""
    raise AssertionError("a refused file is never read")


def refused(path: str, size: int, reason: str) -> RawFile:
    """A file that is listed with its reason and never read."""
    return RawFile(readable(path), size, nothing, reason)


def readable(path: str) -> str:
    """`path` with the bytes that are not UTF-8 shown as replacement characters, so that it can be written down."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def is_unusable(path: str) -> bool:
    """Whether a path has characters that a prompt or a list could not hold (control characters, bytes that are not UTF-8)."""
    return _UNUSABLE.search(path) is not None


def check_inside(path: str, archive: Path) -> str:
    """The path without `.` parts. Raises `InputError` for one that would leave the archive when unpacked."""
    parts = path.replace("\\", "/").split("/")
    if path.startswith(("/", "\\")) or _DRIVE.match(path) or ".." in parts:
        raise InputError(f"'{archive}' is refused: the name {readable(path)!r} inside it leads outside the archive")
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def check_bomb(archive: Path, packed: int, unpacked: int, files: int, limits: Limits) -> None:
    """Raise `InputError` when an archive of `packed` bytes claims more files or bytes than `limits` allow."""
    if files > limits.files:
        raise InputError(f"'{archive}' is refused: it holds more than {limits.files:,} files")
    if unpacked > limits.unpacked_bytes:
        raise InputError(f"'{archive}' is refused: it unpacks to more than {limits.unpacked_bytes:,} bytes")
    if unpacked > limits.ratio_from_bytes and unpacked > limits.ratio * max(packed, 1):
        raise InputError(f"'{archive}' is refused: {packed:,} bytes that unpack to {unpacked:,} look like a decompression bomb")
