"""The true Jaccard similarity of pairs of texts, from their shingles: what candidates are judged by."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from starloom.data.duplicates.candidates import THRESHOLD, Edges
from starloom.data.duplicates.shingles import Shingles

PIECE_SHINGLES = 1 << 20
"""Pairs are compared in pieces with about this many shingles on both sides: 30 MB."""


def similarities(pairs: npt.NDArray[np.int64], shingles: Shingles) -> npt.NDArray[np.float64]:
    """The Jaccard similarity of each pair, float64 [m] in 0-1; `pairs` [m, 2] are rows of `shingles`. 0 when both are empty.

    About 5 ns a shingle on either side; memory 30 MB, or 30 bytes a shingle of the largest pair.
    """
    sizes = shingles.sizes[pairs].sum(axis=1)
    ends = np.cumsum(sizes)
    cuts = np.flatnonzero(np.diff(ends // PIECE_SHINGLES)) + 1
    parts = [_similarities(part, shingles) for part in np.split(pairs, cuts)]
    return np.concatenate(parts)


def verified(edges: Edges, ids: npt.NDArray[np.int64], shingles: Shingles, threshold: float = THRESHOLD) -> Edges:
    """The edges whose texts are at least as similar as `threshold`; `ids` [n], ascending, are those of the rows of `shingles`."""
    rows = np.searchsorted(ids, edges)
    assert np.array_equal(ids[np.minimum(rows, len(ids) - 1)], edges), "every end of an edge has its shingles"
    return edges[similarities(rows, shingles) >= threshold]


def _similarities(pairs: npt.NDArray[np.int64], shingles: Shingles) -> npt.NDArray[np.float64]:
    """Both sets of every pair, each value marked with its pair, sorted together: what is shared comes twice."""
    both = shingles.taken(pairs.ravel())
    totals = both.sizes.reshape(-1, 2).sum(axis=1)
    marked = np.repeat(np.arange(len(pairs), dtype=np.uint64) << np.uint64(32), totals) | both.values
    marked.sort()
    twice = marked[1:][marked[1:] == marked[:-1]] >> np.uint64(32)
    shared = np.bincount(twice.astype(np.int64), minlength=len(pairs))
    found: npt.NDArray[np.float64] = shared / np.maximum(totals - shared, 1)
    return found
