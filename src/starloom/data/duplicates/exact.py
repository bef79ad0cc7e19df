"""Exact duplicates: contents with the same SHA-256.

The first 64 bits of a digest are the key of the exchange; 128 bits tell contents apart (with three billion files, two that
differ meet with a probability of one in 10^19).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from starloom.data.duplicates.survivors import Columns, survivors


def digests(contents: Iterable[bytes]) -> npt.NDArray[np.uint64]:
    """The first 128 bits of each SHA-256, uint64 [n, 2]; the first column is the key of an exchange. About 1 GB/s."""
    return digest_words(hashlib.sha256(content).digest() for content in contents)


def digest_words(whole: Iterable[bytes]) -> npt.NDArray[np.uint64]:
    """The same from digests that are there already (32 bytes each), uint64 [n, 2]."""
    return np.frombuffer(b"".join(digest[:16] for digest in whole), dtype=">u8").astype(np.uint64).reshape(-1, 2)


def exact_survivors(words: npt.NDArray[np.uint64], order: Columns) -> npt.NDArray[np.int64]:
    """For each row the row with the same content that stays, int64 [n]. Needs all rows of each key."""
    sequence = np.lexsort((words[:, 1], words[:, 0]))
    ordered = words[sequence]
    new = np.zeros(len(words), dtype=np.int64)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    groups = np.empty(len(words), dtype=np.int64)
    groups[sequence] = np.cumsum(new)
    return survivors(groups, order)
