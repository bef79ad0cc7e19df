"""Where a text holds data written as text: base64, lists of hexadecimal bytes, Unicode escapes.

The three patterns are those of StarCoder 2 (paper, section 2.1). Each is linear in the length of the text: quantifiers are
possessive, so nothing is tried twice.
"""

from __future__ import annotations

import re
import string

import numpy as np

MIN_BASE64 = 64  # characters of the alphabet, its padding and line ends in a row
MIN_PAIRS = 8  # hexadecimal bytes, or escapes, in a row

_BASE64 = np.zeros(256, dtype=np.bool_)
_BASE64[list((string.ascii_letters + string.digits + "+/=\n").encode())] = True

_PAIR = r"(?:0x|\\x|\b)[0-9a-fA-F]{2}\b,?\s*+"
_HEX = re.compile(rf"(?:{_PAIR}){{{MIN_PAIRS},}}+")
_HEX_WITHOUT_PREFIX = re.compile(
    rf"[0-9a-fA-F]{{2}}\b,?\s*+(?:{_PAIR}){{{MIN_PAIRS - 1}}}"
)  # in every run, and found twice as fast
_ESCAPES = re.compile(rf"\\u[0-9a-fA-F]{{4}}(?:\\u[0-9a-fA-F]{{4}}){{{MIN_PAIRS - 1},}}+")

Span = tuple[int, int]


def encoded_runs(text: str) -> list[Span]:
    """Start and end of every run that one of the patterns matches, in order; runs of different patterns may overlap."""
    runs = _base64_runs(text)
    if _HEX_WITHOUT_PREFIX.search(text):
        runs += [match.span() for match in _HEX.finditer(text)]
    runs += [match.span() for match in _ESCAPES.finditer(text)]
    return sorted(runs)


def covered(runs: list[Span]) -> int:
    """How many characters lie in at least one of the runs, which are in order."""
    total = end = 0
    for start, stop in runs:
        total += max(stop - max(start, end), 0)
        end = max(end, stop)
    return total


def _base64_runs(text: str) -> list[Span]:
    # Characters outside ASCII become "?", which is not of the alphabet, so that places in the bytes are places in the text.
    member = _BASE64[np.frombuffer(text.encode("ascii", "replace"), dtype=np.uint8)]
    borders = np.flatnonzero(np.diff(member, prepend=False, append=False)).reshape(-1, 2)
    return [(start, stop) for start, stop in borders[borders[:, 1] - borders[:, 0] >= MIN_BASE64].tolist()]
