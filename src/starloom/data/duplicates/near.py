"""Near duplicates among many texts in one process: MinHash keys give candidates, the true similarity decides, one of each
connected group stays.

The same functions as in the exchanges of a pipeline, with one bucket. Shingles wait in a file; memory is that of the keys.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
import numpy.typing as npt

from starloom.data.duplicates.candidates import THRESHOLD, band_rows, candidates, distinct
from starloom.data.duplicates.components import components
from starloom.data.duplicates.minhash import DEFAULT, Banding, band_keys, signatures
from starloom.data.duplicates.shingles import Shingles, shingles_of
from starloom.data.duplicates.survivors import survivors
from starloom.data.duplicates.verification import verified

BATCH_CHARACTERS = 4 << 20


class NearDuplicates:
    """Collects texts, then tells which repeat another.

    Shingles wait in the file `store`; in memory are 8 bytes a band and text, and at the end about 300 bytes a text more
    (3 kB when every text is one of hundreds of copies).
    """

    def __init__(self, store: Path, threshold: float = THRESHOLD, banding: Banding = DEFAULT) -> None:
        self._store, self._threshold, self._banding = store, threshold, banding
        self._stream: BinaryIO = store.open("wb")
        self._waiting: list[str] = []
        self._characters = 0
        self._keys: list[npt.NDArray[np.uint64]] = [np.empty((0, banding.bands), dtype=np.uint64)]
        self._sizes: list[npt.NDArray[np.int64]] = [np.zeros(1, dtype=np.int64)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stream.close()
        self._store.unlink(missing_ok=True)

    def add(self, text: str) -> None:
        """Add the next text."""
        self._waiting.append(text)
        self._characters += len(text)
        if self._characters >= BATCH_CHARACTERS:
            self._work()

    def _work(self) -> None:
        shingles = shingles_of(self._waiting)
        minima = signatures(shingles, self._banding.bands * self._banding.rows)
        self._keys.append(band_keys(minima, self._banding))
        self._sizes.append(shingles.sizes)
        self._stream.write(shingles.values.tobytes())
        self._waiting, self._characters = [], 0

    def survivors(self, ranks: npt.NDArray[np.int64]) -> list[int]:
        """For each text the number of the one that survives in its group (itself, when it does).

        `ranks[i]` is the place of text i in a total order; the least of a group survives.
        """
        self._work()
        self._stream.flush()
        offsets = np.cumsum(np.concatenate(self._sizes))
        assert len(ranks) == len(offsets) - 1, "one rank a text"
        values = np.memmap(self._store, dtype=np.uint32, mode="r") if offsets[-1] else np.empty(0, dtype=np.uint32)
        found: list[int] = survivors(self._groups(Shingles(values, offsets)), [ranks]).tolist()
        return found

    def _groups(self, shingles: Shingles) -> npt.NDArray[np.int64]:
        """The least of each text's group; band by band, which bounds memory and spares comparing what is linked already."""
        numbers = np.arange(len(shingles))
        groups = numbers
        for band in range(self._banding.bands):
            keys = np.concatenate([part[:, band : band + 1] for part in self._keys])
            pairs = candidates(band_rows(keys, shingles, numbers), self._threshold)
            apart = groups[pairs[:, 0]] != groups[pairs[:, 1]]
            edges = verified(pairs[apart], numbers, shingles, self._threshold)
            merged = numbers.copy()
            vertices, least = components(distinct(groups[edges]))
            merged[vertices] = least
            groups = merged[groups]
        return groups
