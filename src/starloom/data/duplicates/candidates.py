"""From keys to candidate pairs: texts that share a key are worth comparing.

The rows of one bucket of an exchange come in, pairs go out. In a group of one key the rows are put in the order of their
sizes, and each is paired with the next few: similar sets have similar sizes, and a group of any size costs time and memory
in proportion to its members, not to their square. Small groups are compared all with all.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from starloom.data.duplicates.shingles import Shingles

THRESHOLD = 0.7
"""Jaccard similarity from which two texts are near duplicates (The Stack v2, specification section 5.4)."""

WINDOW = 16

Edges = npt.NDArray[np.int64]
"""Pairs of ids, int64 [m, 2], the lesser id first, ascending and distinct."""


class BandRows(NamedTuple):
    """What an exchange carries: the key of one band of one text, the text's number of shingles, its id. Each [m]."""

    keys: npt.NDArray[np.uint64]
    sizes: npt.NDArray[np.uint32]
    ids: npt.NDArray[np.int64]


def band_rows(keys: npt.NDArray[np.uint64], shingles: Shingles, ids: npt.NDArray[np.int64]) -> BandRows:
    """The rows of all texts that have shingles; `keys` is [n, bands], `ids` [n].

    Texts without shingles (fewer than five words) have the same keys everywhere and would make one group of them all, of
    which one survives: the trap of specification section 5.4. They take no part.
    """
    filled = np.flatnonzero(shingles.sizes)
    bands = keys.shape[1]
    sizes = np.repeat(shingles.sizes[filled].astype(np.uint32), bands)
    return BandRows(keys[filled].ravel(), sizes, np.repeat(ids[filled], bands))


def candidates(rows: BandRows, threshold: float = THRESHOLD, window: int = WINDOW) -> Edges:
    """The pairs to compare among the rows of a bucket, which must hold all rows of each of its keys, in any order.

    Pairs whose sizes alone rule out `threshold` are left out. Time is that of sorting; memory at most
    16 * `window` bytes a row that shares its key.
    """
    rows = _sharing(rows)
    found = []
    for distance in range(1, window + 1):
        same = rows.keys[distance:] == rows.keys[:-distance]
        if not same.any():
            break
        close = same & (rows.sizes[:-distance] >= threshold * rows.sizes[distance:])
        first = np.flatnonzero(close)
        found.append(np.stack([rows.ids[first], rows.ids[first + distance]], axis=1))
    return distinct(np.concatenate(found)) if found else np.empty((0, 2), dtype=np.int64)


def _sharing(rows: BandRows) -> BandRows:
    """The rows that share their key with another, in the order of key, size and id."""
    order = np.argsort(rows.keys, kind="stable")
    ordered = rows.keys[order]
    like_next = np.append(ordered[1:] == ordered[:-1], [False]) if len(ordered) else np.empty(0, dtype=np.bool_)
    kept = order[like_next | np.roll(like_next, 1)]
    kept = kept[np.lexsort((rows.ids[kept], rows.sizes[kept], rows.keys[kept]))]
    return BandRows(rows.keys[kept], rows.sizes[kept], rows.ids[kept])


def distinct(pairs: npt.NDArray[np.int64]) -> Edges:
    """Pairs in any order and direction, as edges; a pair of one id with itself is no edge. About 0.1 microseconds a pair.

    Both ends are packed into one number by their ranks, since sorting one column is ten times as fast as sorting two.
    """
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    lows, low_ranks = _ranked(np.minimum(pairs[:, 0], pairs[:, 1]))
    highs, high_ranks = _ranked(np.maximum(pairs[:, 0], pairs[:, 1]))
    packed = low_ranks << 32 | high_ranks
    packed.sort()
    packed = packed[np.diff(packed, prepend=-1) != 0]
    return np.stack([lows[packed >> 32], highs[packed & 0xFFFFFFFF]], axis=1)


def _ranked(values: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The distinct values, ascending, and the place of each value among them."""
    order = np.argsort(values)
    ordered = values[order]
    new = np.ones(len(values), dtype=np.bool_)
    new[1:] = ordered[1:] != ordered[:-1]
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[order] = np.cumsum(new) - 1
    return ordered[new], ranks
