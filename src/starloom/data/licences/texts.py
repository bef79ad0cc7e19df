"""Which of SPDX's licence texts stand in a passage, whole or nearly so: an inverted index of runs of three words.

A text is there when at least `ENOUGH` of its runs are (its containment). The best (the most runs, then the highest containment)
goes first and its words are taken out before the next is looked for, so that a licence that is part of another (BSD-2-Clause in
BSD-3-Clause) is not found twice, and a text may hold several licences. Knows nothing of notices that only name a licence.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from starloom.data.licences.words import words_of

ENOUGH = 0.85  # containment: a holder's name, a changed clause heading and a missing appendix stay below the rest
CLOSE = 0.7  # the part of a text's runs that must stand together
SHORT = 24  # runs; a shorter text must be there word for word
FEWEST = 8  # runs; a shorter text says too little to be told from prose

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Text:
    """The licence `identifier` was found with `score` (containment, 0 to 1)."""

    identifier: str
    score: float


@dataclass(frozen=True, slots=True)
class _Index:
    """All texts. `keys_K` (sorted) are runs of words; the texts with run k are `postings[starts_K1[k] : starts_K1[k + 1]]`;
    `texts` are the runs of each text. Of a text that is there, there is a run k, and at least `fewest_K[k]` runs in all."""

    names: tuple[str, ...]
    lengths_T: Ints
    vocabulary: dict[str, int]
    keys_K: Ints
    starts_K1: Ints
    postings: Ints
    texts: tuple[Ints, ...]
    fewest_K: Ints

    def runs(self, words: list[str]) -> Ints:
        """The number of the run of three words that begins at each word, -1 where no text has it."""
        ids = np.fromiter(map(self.vocabulary.get, words, repeat(-1)), np.int64, len(words))
        keys = _runs_of(ids, len(self.vocabulary))
        places = np.minimum(np.searchsorted(self.keys_K, keys), len(self.keys_K) - 1)
        return np.where(self.keys_K[places] == keys, places, -1)

    def hits(self, runs: Ints) -> Ints:
        """How many different runs each text shares with `runs` (distinct, none -1)."""
        starts, ends = self.starts_K1[runs], self.starts_K1[runs + 1]
        lengths = ends - starts
        offsets = np.arange(lengths.sum()) + np.repeat(starts - np.concatenate(([0], np.cumsum(lengths)[:-1])), lengths)
        return np.bincount(self.postings[offsets], minlength=len(self.names)).astype(np.int64)


def texts_in(words: list[str]) -> tuple[list[Text], list[str]]:
    """The licence texts in `words`, the most of them first, and the words that none of them accounts for."""
    index = _index()
    if len(words) < FEWEST + 2:
        return [], words
    runs = index.runs(words)
    left, found, rejected = runs.copy(), [], np.zeros(len(index.names), dtype=bool)
    while (index.fewest_K[present := left[left >= 0]] <= present.size).any():
        hits = index.hits(np.unique(present))
        containment = hits / index.lengths_T
        good = (containment >= ENOUGH) & ((index.lengths_T >= SHORT) | (hits == index.lengths_T)) & ~rejected
        if not good.any():
            break
        best = int(np.argmax(np.where(good, hits.astype(float) ** 4 * containment, 0)))
        places = _places(left, index.texts[best])
        if places.size:
            found.append(Text(index.names[best], round(float(containment[best]), 3)))
            left[places] = -1
        rejected[best] = True
    return found, _uncovered(words, runs, left) if found else words


def _places(runs: Ints, text: Ints) -> Ints:
    """Where the runs of `text` stand close together: most of them within its own length. Scattered ones are other texts'."""
    inside = np.isin(runs, text)
    before = np.concatenate(([0], np.cumsum(inside)))
    places = np.flatnonzero(inside)
    around = before[np.minimum(places + text.size, runs.size)] - before[np.maximum(places - text.size, 0)]
    return places[around >= CLOSE * text.size]


def _uncovered(words: list[str], runs: Ints, left: Ints) -> list[str]:
    """The words outside every run that was taken out."""
    covered = np.zeros(len(words), dtype=bool)
    taken = np.flatnonzero((runs >= 0) & (left < 0))
    for offset in range(3):
        covered[taken + offset] = True
    return [word for word, hidden in zip(words, covered, strict=True) if not hidden]


def _runs_of(ids: Ints, size: int) -> Ints:
    """A key for each run of three words; -1 where a word is not in the vocabulary."""
    if ids.size < 3:
        return np.empty(0, dtype=np.int64)
    first, second, third = ids[:-2], ids[1:-1], ids[2:]
    return np.where((first < 0) | (second < 0) | (third < 0), -1, (first * size + second) * size + third)


def spdx_texts() -> dict[str, str]:
    """SPDX's licence texts by identifier."""
    packed = files("starloom.data.licences").joinpath("spdx-texts.json.xz").read_bytes()
    table: dict[str, str] = json.loads(lzma.decompress(packed))
    return table


@cache
def spdx_names() -> frozenset[str]:
    """SPDX's identifiers, deprecated ones too."""
    return frozenset(spdx_texts())


@cache
def _index() -> _Index:
    texts = {name: words_of(text) for name, text in sorted(spdx_texts().items(), key=_rank)}
    vocabulary: dict[str, int] = {}
    for words in texts.values():
        for word in words:
            vocabulary.setdefault(word, len(vocabulary))
    names, parts, seen = [], [], set()
    for name, words in texts.items():
        if name.endswith("+"):
            continue  # deprecated, with the text of `-only`
        keys = np.unique(_runs_of(np.array([vocabulary[word] for word in words], dtype=np.int64), len(vocabulary)))
        if keys.size < FEWEST or keys.tobytes() in seen:
            continue
        seen.add(keys.tobytes())
        names.append(name)
        parts.append(keys)
    keys = np.concatenate(parts)
    owners = np.repeat(np.arange(len(parts)), [part.size for part in parts])
    order = np.lexsort((owners, keys))
    distinct, starts = np.unique(keys[order], return_index=True)
    lengths = np.array([part.size for part in parts], dtype=np.int64)
    texts_T = tuple(np.searchsorted(distinct, part) for part in parts)
    bounds = np.append(starts, keys.size)
    return _Index(tuple(names), lengths, vocabulary, distinct, bounds, owners[order], texts_T, _fewest(texts_T, np.diff(bounds)))


def _fewest(texts: Sequence[Ints], owners_K: Ints) -> Ints:
    """For each run how many runs the shortest text has that it tells of, those that may be missing not counted.

    A text is told of by those of its runs that the fewest others have, one more than may be missing: so it is not there without
    any of them.
    """
    fewest_K = np.full(owners_K.size, np.iinfo(np.int64).max)
    for text in texts:
        enough = int(ENOUGH * text.size)
        rarest = text[np.argsort(owners_K[text], kind="stable")[: text.size - enough + 1]]
        fewest_K[rarest] = np.minimum(fewest_K[rarest], enough)
    return fewest_K


def _rank(item: tuple[str, str]) -> tuple[int, str]:
    """Which of several identifiers a bare text stands for: `-only`, since it does not say 'or later', before deprecated ones."""
    name = item[0]
    later = name.endswith(("-or-later", "+", "-invariants-only", "-invariants-or-later"))
    return (0 if name.endswith("-only") and not later else 2 if later else 1), name
