"""Near duplicates among many texts: MinHash bands give candidates, the true similarity decides, one of each group stays.

Groups are connected components as in The Stack v2 (specification section 5.4: five words, Jaccard 0.7); the text with
the least rank of its group survives. Texts of fewer than five words have no shingles and are never duplicates.
Written on numpy: `datasketch` computes the same at about 2,000 texts a second, which is ten times too slow here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
import numpy.typing as npt

from starloom.data.duplicates.shingles import NUM_BANDS, Bands, Shingles, bands_of, shingles_of, similarity

THRESHOLD = 0.7
MAX_REPRESENTATIVES = 64  # a band's bucket of unlike texts is compared with this many, not all against all


class NearDuplicates:
    """Collects texts, then tells which repeat another. Shingles wait in the file `store`, 300 bytes a text in memory."""

    def __init__(self, store: Path, threshold: float = THRESHOLD) -> None:
        self._store, self._threshold = store, threshold
        self._stream: BinaryIO = store.open("wb")
        self._bands: list[Bands] = []
        self._places: list[tuple[int, int]] = []
        self._end = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stream.close()
        self._store.unlink(missing_ok=True)

    def add(self, text: str) -> None:
        """Add the next text."""
        shingles = shingles_of(text)
        self._bands.append(bands_of(shingles))
        self._places.append((self._end, len(shingles)))
        self._stream.write(shingles.tobytes())
        self._end += len(shingles)

    def survivors(self, ranks: npt.NDArray[np.int64]) -> list[int]:
        """For each text the number of the one that survives in its group (itself, when it does).

        `ranks[i]` is the place of text i in a total order; the least of a group survives.
        """
        assert len(ranks) == len(self._bands), "one rank a text"
        self._stream.flush()
        groups = _Groups(ranks)
        if self._end:
            shingles = np.memmap(self._store, dtype=np.uint32, mode="r")
            keys = np.stack(self._bands)
            for band in range(NUM_BANDS):
                for bucket in self._buckets(keys[:, band], ranks):
                    self._join(bucket, groups, shingles)
        return [groups.least(text) for text in range(len(ranks))]

    def _buckets(self, keys: npt.NDArray[np.uint64], ranks: npt.NDArray[np.int64]) -> Iterator[list[int]]:
        """Groups of two or more texts with the same key, each in the order of rank; texts without shingles are left out."""
        filled = np.flatnonzero(np.array([count for _, count in self._places]))
        order = filled[np.lexsort((ranks[filled], keys[filled]))]
        borders = np.flatnonzero(np.diff(keys[order])) + 1
        for bucket in np.split(order, borders):
            if len(bucket) > 1:
                yield bucket.tolist()

    def _join(self, bucket: list[int], groups: _Groups, shingles: Shingles) -> None:
        representatives: list[int] = []
        for text in bucket:
            repeats = any(self._same(text, other, groups, shingles) for other in representatives)
            if not repeats and len(representatives) < MAX_REPRESENTATIVES:
                representatives.append(text)

    def _same(self, text: int, other: int, groups: _Groups, shingles: Shingles) -> bool:
        if groups.least(text) == groups.least(other):
            return True
        one, two = self._shingles(text, shingles), self._shingles(other, shingles)
        if min(len(one), len(two)) < self._threshold * max(len(one), len(two)):
            return False
        if similarity(one, two) < self._threshold:
            return False
        groups.unite(text, other)
        return True

    def _shingles(self, text: int, shingles: Shingles) -> Shingles:
        start, count = self._places[text]
        return shingles[start : start + count]


class _Groups:
    """Disjoint sets whose representative is the member with the least rank."""

    def __init__(self, ranks: npt.NDArray[np.int64]) -> None:
        self._ranks = ranks.tolist()
        self._parents = list(range(len(ranks)))

    def least(self, item: int) -> int:
        parents = self._parents
        while parents[item] != item:
            parents[item] = parents[parents[item]]
            item = parents[item]
        return item

    def unite(self, one: int, other: int) -> None:
        one, other = self.least(one), self.least(other)
        if self._ranks[one] > self._ranks[other]:
            one, other = other, one
        self._parents[other] = one
