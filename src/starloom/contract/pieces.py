"""Cuts a text into what BPE can read and bytes that it cannot, so that nothing is ever lost without a word.

`tokenizers` takes only Unicode and drops, silently, every byte that its vocabulary has no symbol for. This decides
both cases before it sees the text. Knows which bytes are missing, and nothing else of the vocabulary.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, TypeAlias

from starloom.core.errors import InputError

Unknown: TypeAlias = Literal["error", "replace"]

_INVALID = re.compile("([\udc80-\udcff]+)")
"""Bytes that are no UTF-8, as Python's `surrogateescape` writes them."""

_REPLACEMENT = "\ufffd"
_ASCII = frozenset(range(128))


def is_plain(text: str | bytes, missing: frozenset[int]) -> bool:
    """Whether `text` is valid Unicode that needs none of the `missing` bytes: the case of nearly every text."""
    if text.isascii() and not missing & _ASCII:
        return True
    try:
        data = text.encode() if isinstance(text, str) else text.decode().encode()
    except UnicodeError:
        return False
    return not missing or missing.isdisjoint(data)


def as_bytes(text: str | bytes, unknown: Unknown) -> bytes:
    """The bytes of `text`; surrogate escapes are their byte, other surrogates an `InputError` or U+FFFD."""
    if isinstance(text, bytes):
        return text
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError as error:
        if unknown == "error":
            surrogate = f"U+{ord(text[error.start]):04X}"
            raise InputError(f"character {error.start} is the lone surrogate {surrogate}, which is no text") from None
        return re.sub("[\ud800-\udc7f\udd00-\udfff]", _REPLACEMENT, text).encode(errors="surrogateescape")


def pieces(data: bytes, missing: frozenset[int], unknown: Unknown) -> Iterator[str | bytes]:
    """Yield runs of text and runs of bytes that are no UTF-8, in order.

    A character (or invalid byte) that needs a missing byte raises `InputError` naming the byte and its offset, or
    with `unknown="replace"` becomes U+FFFD.
    """
    text = data.decode(errors="surrogateescape")
    if lacking := {character for character in set(text) if not missing.isdisjoint(_utf8(character))}:
        if unknown == "error":
            _refuse(data, missing)
        if not missing.isdisjoint(_utf8(_REPLACEMENT)):
            raise InputError("this vocabulary cannot encode this text, and has no U+FFFD to put in its place")
        text = text.translate(dict.fromkeys(map(ord, lacking), _REPLACEMENT))
    for place, piece in enumerate(_INVALID.split(text)):
        if piece:
            yield _utf8(piece) if place % 2 else piece


def _utf8(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _refuse(data: bytes, missing: frozenset[int]) -> None:
    offset = next(place for place, byte in enumerate(data) if byte in missing)
    raise InputError(
        f"byte 0x{data[offset]:02X} at offset {offset} is not in this vocabulary (it lacks {len(missing)} byte values): "
        "remove it, or ask for U+FFFD in its place (unknown='replace', --replace)"
    )
