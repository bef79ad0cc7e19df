"""The truth about near duplicates: the Jaccard similarity of every pair of texts, without hashes, bands or limits.

An inverted index of all shingles counts what each text shares with every other one. Nothing of `starloom` is used but the place
where the comments at the head end, so that the code under test and its truth have only that in common.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

_WORD = re.compile(rb"[a-z0-9_\x80-\xff]+")


def shingle_sets(texts: Sequence[str], body_start: Callable[[str], int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The distinct runs of five words of each text as exact numbers: ascending (text, shingle) pairs, two columns."""
    vocabulary: dict[bytes, int] = {}
    words, places = [], []
    for number, text in enumerate(texts):
        found = _WORD.findall(text[body_start(text) :].encode().lower())
        if len(found) < 5:
            found = _WORD.findall(text.encode().lower())
        words.append(np.array([vocabulary.setdefault(word, len(vocabulary)) for word in found], dtype=np.int64))
        places.append(np.full(len(found), number, dtype=np.int64))
    flat, text_of = np.concatenate(words), np.concatenate(places)
    runs = flat[: len(flat) - 4]
    for place in range(1, 5):
        runs = np.unique(runs * len(vocabulary) + flat[place : place + len(runs)], return_inverse=True)[1]
    whole = text_of[: len(runs)] == text_of[4:]
    pairs = np.unique((text_of[: len(runs)] << 32 | runs)[whole])
    return pairs >> 32, pairs & 0xFFFFFFFF


def exact_pairs(
    texts: Sequence[str], body_start: Callable[[str], int], least: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """All pairs at least as similar as `least`, int64 [m, 2] with the lesser first, and their similarity, float64 [m]."""
    text_of, shingles = shingle_sets(texts, body_start)
    sizes = np.bincount(text_of, minlength=len(texts))
    starts = np.concatenate([[0], np.cumsum(sizes)])
    by_shingle = np.argsort(shingles, kind="stable")
    posted = text_of[by_shingle].astype(np.int32)
    ends = np.cumsum(np.bincount(shingles))
    pairs, values = [], []
    for text in range(len(texts)):
        own = shingles[starts[text] : starts[text + 1]]
        begins = np.where(own > 0, ends[own - 1], 0)
        shared = _shared(posted, begins, ends[own], len(texts))
        shared[: text + 1] = 0
        similarity = shared / np.maximum(sizes + sizes[text] - shared, 1)
        others = np.flatnonzero(similarity >= least)
        pairs.append(np.stack([np.full(len(others), text), others], axis=1))
        values.append(similarity[others])
    return np.concatenate(pairs), np.concatenate(values)


def _shared(posted: NDArray[np.int32], begins: NDArray[np.int64], ends: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """How many of one text's shingles each text has: the posting lists of those shared with any other, counted."""
    others = ends - begins > 1
    begins, lengths = begins[others], (ends - begins)[others]
    total = int(lengths.sum())
    offsets = np.repeat(begins - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths) if total else begins[:0]
    return np.bincount(posted[np.arange(total) + offsets], minlength=count)
