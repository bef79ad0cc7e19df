"""Which tokens can come next where the bytes to be written are known. Built once for a vocabulary; knows no models."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


class Starts:
    """The tokens in the order of their bytes; those without bytes never come."""

    def __init__(self, token_bytes: Sequence[bytes]) -> None:
        places = sorted((place for place, text in enumerate(token_bytes) if text), key=token_bytes.__getitem__)
        self._texts = [token_bytes[place] for place in places]
        self._ids = np.array(places, dtype=np.int64)

    def agreeing(self, rest: bytes) -> npt.NDArray[np.int64]:
        """The ids, ascending, of tokens that `rest` begins with or that begin with `rest`, which is not empty."""
        shorter = [self._ids[slice(*self._range(rest[:size], rest[:size] + b"\0"))] for size in range(1, len(rest))]
        return np.sort(np.concatenate([*shorter, self._ids[slice(*self._range(rest, _behind(rest)))]]))

    def _range(self, first: bytes, last: bytes | None) -> tuple[int, int]:
        """The places from the text `first` to before `last`; None is behind all texts."""
        return bisect_left(self._texts, first), len(self._texts) if last is None else bisect_left(self._texts, last)


def _behind(start: bytes) -> bytes | None:
    """The least bytes behind everything that begins with `start`."""
    shortened = start.rstrip(b"\xff")
    return shortened[:-1] + bytes([shortened[-1] + 1]) if shortened else None
