"""MinHash: signatures whose agreement estimates the Jaccard similarity of two sets of shingles, and the keys of their bands.

Function k sends a shingle x to a_k x + b_k modulo 2^32 with odd a_k; the least value over the set is minimum k. Two sets of
similarity s have the same minimum with probability s, the same band of r minima with s^r, and one of b bands at least with
1 - (1 - s^r)^b. Knows nothing of what is done with texts that share a key.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from starloom.core.errors import SettingsError
from starloom.data.duplicates.mixing import GOLDEN, mixed
from starloom.data.duplicates.shingles import Shingles

NUM_PERMUTATIONS = 250
"""The Stack v2's number of hash functions (specification section 5.4)."""

PIECE_SHINGLES = 1 << 16
_EMPTY = np.uint32(0xFFFFFFFF)


@dataclass(frozen=True)
class Banding:
    """How minima are grouped into keys: `bands` keys of `rows` minima each. Raises `SettingsError` beyond 250 minima."""

    bands: int
    rows: int

    def __post_init__(self) -> None:
        if self.bands < 1 or self.rows < 1 or self.bands * self.rows > NUM_PERMUTATIONS:
            raise SettingsError(
                f"a banding of {self.bands} bands of {self.rows} rows cannot be: both must be at least 1 and their product "
                f"at most {NUM_PERMUTATIONS}, the number of permutations (35 bands of 7 rows, say)"
            )

    def probability(self, similarity: float) -> float:
        """That two texts of this Jaccard similarity share a key, in 0-1."""
        return 1.0 - float((1.0 - similarity**self.rows) ** self.bands)


PUBLISHED = Banding(25, 10)
"""The Stack v2's: 51 % at similarity 0.7, 77 % at 0.75, 94 % at 0.8."""

DEFAULT = Banding(35, 7)
"""95 % at similarity 0.7, 99.3 % at 0.75, 99.97 % at 0.8 (docs/data/duplicates.md says why)."""


def signatures(shingles: Shingles, num_permutations: int = NUM_PERMUTATIONS) -> npt.NDArray[np.uint32]:
    """The minima of each set, uint32 [n, num_permutations]; of a set without shingles the greatest number everywhere.

    About 0.2 ns a shingle and permutation on one core; memory 4 bytes a text and permutation.
    """
    filled = np.flatnonzero(shingles.sizes)
    least = np.full((num_permutations, len(shingles)), _EMPTY, dtype=np.uint32)
    factors, offsets = _functions()
    starts = shingles.offsets[filled]
    for texts in np.split(filled, _cuts(starts)):
        if not len(texts):
            continue
        begin, end = shingles.offsets[texts[0]], shingles.offsets[texts[-1] + 1]
        values, borders = shingles.values[begin:end], shingles.offsets[texts] - begin
        permuted = np.empty_like(values)
        for number in range(num_permutations):
            np.multiply(values, factors[number], out=permuted)
            np.add(permuted, offsets[number], out=permuted)
            least[number, texts] = np.minimum.reduceat(permuted, borders)
    return least.T


def _cuts(starts: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """Where to cut a list of texts so that a piece has about `PIECE_SHINGLES` shingles, which stay in the cache."""
    return np.flatnonzero(np.diff(starts // PIECE_SHINGLES)) + 1


def band_keys(minima: npt.NDArray[np.uint32], banding: Banding = DEFAULT) -> npt.NDArray[np.uint64]:
    """One key a text and band, uint64 [n, bands]. Keys of different bands differ, so that all may go into one exchange."""
    band = np.arange(1, banding.bands + 1, dtype=np.uint64) * np.uint64(GOLDEN)
    keys = np.broadcast_to(mixed(band)[:, None], (banding.bands, len(minima)))
    used = minima.T[: banding.bands * banding.rows].reshape(banding.bands, banding.rows, len(minima))
    for row in range(banding.rows):
        keys = mixed(keys * np.uint64(GOLDEN) + used[:, row])
    return keys.T


@cache
def _functions() -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Odd factors and offsets of the hash functions, each uint32 [250]."""
    numbers = mixed(np.arange(1, 2 * NUM_PERMUTATIONS + 1, dtype=np.uint64) * np.uint64(GOLDEN))
    factors, offsets = (numbers >> np.uint64(32)).astype(np.uint32).reshape(2, -1)
    return factors | np.uint32(1), offsets
