"""What a text is made of, for comparing texts: the set of its runs of five words, as hashes, and its MinHash bands.

Words are runs of letters, digits, `_` and bytes above 127, in lower case. The comment at the head of a file is left out
(it holds licences, which would make small files of one project look alike), unless nothing else is there. Everything is
computed on whole arrays and depends on nothing but the bytes: the same text gives the same numbers on every machine.
"""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import numpy.typing as npt

SHINGLE_WORDS = 5
NUM_BANDS, ROWS = 25, 5
"""A pair of Jaccard similarity s shares a band with probability 1 - (1 - s^5)^25: 0.7 -> 99 %, 0.5 -> 55 %, 0.3 -> 6 %."""

Shingles = npt.NDArray[np.uint32]
Bands = npt.NDArray[np.uint64]

_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 2**64)
_MIX_A, _MIX_B = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_CHUNK = 4096
_HEAD = re.compile(r"(?:[ \t]*(?:(?:#|//|/\*|\*|--|;|%|<!--)[^\n]*|\r?)\n)*")


def shingles_of(text: str) -> Shingles:
    """The distinct hashes of the text's runs of five words, sorted; empty for fewer than five words."""
    head = _HEAD.match(text)
    assert head is not None, "the pattern matches nothing as well"
    body = _plain_shingles(text[head.end() :])
    return body if len(body) else _plain_shingles(text)


def _plain_shingles(text: str) -> Shingles:
    folded = _fold_table()[np.frombuffer(text.encode(), dtype=np.uint8)]
    edges = np.flatnonzero(np.diff(folded != 0, prepend=False, append=False))
    starts, ends = edges[0::2], edges[1::2]
    if len(starts) < SHINGLE_WORDS:
        return np.empty(0, dtype=np.uint32)
    words = _word_hashes(folded, starts, ends)
    count = len(words) - SHINGLE_WORDS + 1
    total = np.zeros(count, dtype=np.uint64)
    for place in range(SHINGLE_WORDS):
        total = total * np.uint64(_BASE) + words[place : place + count]
    return np.unique((_mixed(total) >> np.uint64(32)).astype(np.uint32))


def bands_of(shingles: Shingles) -> Bands:
    """The MinHash of a set of shingles (125 hash functions), folded to one number a band."""
    factors, offsets = _functions()
    least = np.full(NUM_BANDS * ROWS, 0xFFFFFFFF, dtype=np.uint32)
    for start in range(0, len(shingles), _CHUNK):
        part = shingles[start : start + _CHUNK]
        np.minimum(least, (part[None, :] * factors[:, None] + offsets[:, None]).min(axis=1), out=least)
    key = np.zeros(NUM_BANDS, dtype=np.uint64)
    for row in least.reshape(NUM_BANDS, ROWS).T:
        key = _mixed(key * np.uint64(_BASE) + row)
    return key


def similarity(one: Shingles, other: Shingles) -> float:
    """The Jaccard similarity of two sets of shingles, in 0-1."""
    shared = len(np.intersect1d(one, other, assume_unique=True))
    union = len(one) + len(other) - shared
    return shared / union if union else 0.0


def _word_hashes(
    folded: npt.NDArray[np.uint8], starts: npt.NDArray[np.intp], ends: npt.NDArray[np.intp]
) -> npt.NDArray[np.uint64]:
    """A polynomial hash of every word from one running sum over the text, modulo 2^64."""
    powers, inverses = _powers(1 << (len(folded)).bit_length())
    running = np.empty(len(folded) + 1, dtype=np.uint64)
    running[0] = 0
    np.cumsum(folded * powers[: len(folded)], out=running[1:])
    return _mixed((running[ends] - running[starts]) * inverses[starts])


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """SplitMix64's finaliser: spreads every bit over the whole number."""
    values = (values ^ (values >> np.uint64(30))) * _MIX_A
    values = (values ^ (values >> np.uint64(27))) * _MIX_B
    return values ^ (values >> np.uint64(31))


@cache
def _fold_table() -> npt.NDArray[np.uint8]:
    """For each byte its lower-case form when it belongs to a word, else 0."""
    table = np.zeros(256, dtype=np.uint8)
    for byte in range(256):
        if byte >= 128 or chr(byte).isalnum() or byte == ord("_"):
            table[byte] = ord(chr(byte).lower()) if byte < 128 else byte
    return table


@cache
def _powers(count: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """The powers 0 to `count` of the base and of its inverse, modulo 2^64."""

    def powers(base: int) -> npt.NDArray[np.uint64]:
        steps = np.full(count + 1, base, dtype=np.uint64)
        steps[0] = 1
        return np.cumprod(steps, dtype=np.uint64)

    return powers(_BASE), powers(_INVERSE)


@cache
def _functions() -> tuple[Shingles, Shingles]:
    """Odd factors and offsets of the hash functions x -> factor * x + offset modulo 2^32."""
    numbers = _mixed(np.arange(1, 2 * NUM_BANDS * ROWS + 1, dtype=np.uint64) * np.uint64(_BASE))
    factors, offsets = (numbers >> np.uint64(32)).astype(np.uint32).reshape(2, -1)
    return factors | np.uint32(1), offsets
