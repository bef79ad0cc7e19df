"""What texts are made of, for comparing them: the sets of their runs of five words, as hashes, for many texts at once.

Words are runs of letters, digits, `_` and bytes above 127, in lower case; a text of fewer than five has no shingles and
is like no other. The comments at the head are left out unless nothing else is there. All is computed on whole arrays
over many texts and depends on nothing but the bytes of each: the same text gives the same numbers in any company.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Self

import numpy as np
import numpy.typing as npt

from starloom.data.duplicates.headers import body_start
from starloom.data.duplicates.mixing import GOLDEN, mixed

SHINGLE_WORDS = 5
PIECE_BYTES = 1 << 17
"""Texts are hashed in pieces of about this size, whose arrays stay in the cache."""

_INVERSE = pow(GOLDEN, -1, 2**64)


@dataclass(frozen=True)
class Shingles:
    """The sets of n texts, uint32 [all] and int64 [n + 1]; set i is `values[offsets[i] : offsets[i + 1]]`, ascending."""

    values: npt.NDArray[np.uint32]
    offsets: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """How many shingles each text has, int64 [n]."""
        return np.diff(self.offsets)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The sets of all parts, in their order."""
        values = np.concatenate([np.empty(0, dtype=np.uint32), *(part.values for part in parts)])
        sizes = np.concatenate([np.zeros(1, dtype=np.int64), *(part.sizes for part in parts)])
        return cls(values, np.cumsum(sizes))

    def taken(self, rows: npt.NDArray[np.int64]) -> Shingles:
        """The sets of `rows`, in that order; a row may come more than once."""
        sizes = self.sizes[rows]
        offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])
        places = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], sizes)
        return Shingles(self.values[places], offsets)


def shingles_of(texts: Sequence[str], *, strip_heads: bool = True) -> Shingles:
    """The shingles of each text. Memory: about 40 bytes a byte of the longest text, and 8 bytes a shingle."""
    return Shingles.joined([_of_texts(piece, strip_heads) for piece in _pieces(texts)])


def _pieces(texts: Sequence[str]) -> Iterator[list[str]]:
    """The texts in groups of about `PIECE_BYTES`."""
    piece: list[str] = []
    size = 0
    for text in texts:
        if piece and size + len(text) > PIECE_BYTES:
            yield piece
            piece, size = [], 0
        piece.append(text)
        size += len(text)
    if piece:
        yield piece


def _of_texts(texts: Sequence[str], strip_heads: bool) -> Shingles:
    """The shingles of each text without its head, or with it where nothing comes of the rest."""
    starts = [body_start(text) if strip_heads else 0 for text in texts]
    found = _of_piece([_encoded(text[start:]) for text, start in zip(texts, starts, strict=True)])
    again = [place for place, size in enumerate(found.sizes.tolist()) if not size and starts[place]]
    if not again:
        return found
    order = np.arange(len(texts))
    order[again] = len(texts) + np.arange(len(again))
    return Shingles.joined([found, _of_piece([_encoded(texts[place]) for place in again])]).taken(order)


def _encoded(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _of_piece(piece: Sequence[bytes]) -> Shingles:
    folded = np.frombuffer(b"\0".join([b"", *piece, b""]).translate(_fold_table()), dtype=np.uint8)
    inside = folded != 0
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    starts, ends = edges[0::2], edges[1::2]
    words = _word_hashes(folded, starts, ends)
    text_ends = np.cumsum(np.fromiter(map(len, piece), dtype=np.int64, count=len(piece)) + 1)
    return _distinct(*_runs(words, np.searchsorted(starts, text_ends)), len(piece))


def _word_hashes(
    folded: npt.NDArray[np.uint8], starts: npt.NDArray[np.intp], ends: npt.NDArray[np.intp]
) -> npt.NDArray[np.uint64]:
    """A polynomial hash of every word from one running sum over the text, modulo 2^64."""
    powers, inverses = _powers(max(len(folded), 2 * PIECE_BYTES).bit_length())
    running = np.empty(len(folded) + 1, dtype=np.uint64)
    running[0] = 0
    np.cumsum(folded * powers[: len(folded)], out=running[1:])
    return mixed((running[ends] - running[starts]) * inverses[starts])


def _runs(words: npt.NDArray[np.uint64], word_ends: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """The hashes of all runs of five words that lie in one text, and the number of that text. `word_ends` [n]: after its last."""
    counts = np.diff(word_ends, prepend=0)
    runs = np.maximum(counts - (SHINGLE_WORDS - 1), 0)
    length = max(len(words) - SHINGLE_WORDS + 1, 0)
    total = words[:length].copy()
    for place in range(1, SHINGLE_WORDS):
        total *= np.uint64(GOLDEN)
        total += words[place : place + length]
    hashes = (mixed(total) >> np.uint64(32)).astype(np.uint32)
    texts = np.repeat(np.arange(len(runs)), runs)
    places = np.arange(len(texts)) + np.repeat(word_ends - counts - (np.cumsum(runs) - runs), runs)
    return hashes[places], texts


def _distinct(hashes: npt.NDArray[np.uint32], texts: npt.NDArray[np.int64], count: int) -> Shingles:
    keys = (texts.astype(np.uint64) << np.uint64(32)) | hashes
    keys.sort()
    keys = keys[np.diff(keys, prepend=~keys[:1]) != 0]
    offsets = np.searchsorted(keys, np.arange(count + 1, dtype=np.uint64) << np.uint64(32))
    return Shingles(keys.astype(np.uint32), offsets.astype(np.int64))


@cache
def _fold_table() -> bytes:
    """For each byte its lower-case form when it belongs to a word, else 0."""
    return bytes(
        byte if byte >= 128 else ord(chr(byte).lower()) if chr(byte).isalnum() or byte == ord("_") else 0 for byte in range(256)
    )


@lru_cache(maxsize=1)
def _powers(bits: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """The powers 0 to 2^bits of the base and of its inverse, modulo 2^64. Those of a huge text go again with the next."""

    def powers(base: int) -> npt.NDArray[np.uint64]:
        steps = np.full((1 << bits) + 1, base, dtype=np.uint64)
        steps[0] = 1
        return np.cumprod(steps, dtype=np.uint64)

    return powers(GOLDEN), powers(_INVERSE)
