"""Where a run of tokens occurred before: an index over the newest tokens of many texts, in the manner of LZ77.

Tokens lie in a ring, the oldest are overwritten. For runs of a few fixed lengths a table holds the newest place that such a run
leads to, and each place holds the one before it; a search walks such a chain and compares backwards. A token costs the same
work however many there are, memory is fixed at the start. Hash collisions cost time alone, since tokens are compared.
Knows nothing of models, of text, or of whether a repeat is worth guessing from. Not to be used from two threads at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LONGEST = 32
"""Matches are measured up to this many tokens; beyond it, the newest wins."""

_END = -1  # stands behind a text; equals no token
_FACTOR, _WORD = 0x9E3779B97F4A7C15, (1 << 64) - 1
_FEW = 24  # below this many tokens, numpy's calls cost more than they save


@dataclass(frozen=True)
class Match:
    """The last `length` tokens asked about stand before `place` too, where the text goes on."""

    length: int
    place: int


class _Chains:
    """The places that runs of `order` tokens lead to, newest first; a place is the number of the token behind the run.

    Runs are found by a hash: the sum of token * F^(distance to the end of the run + 1), so that it rolls from run to run.
    """

    def __init__(self, order: int, capacity: int) -> None:
        self.order, self._leaving = order, pow(_FACTOR, order, _WORD + 1)
        self._shift = 64 - max(capacity, 2).bit_length()
        self._newest = np.full(1 << (64 - self._shift), -1, np.int64)
        self._before = np.full(capacity, -1, np.int64)
        self._newest_view, self.before = self._newest.data, self._before.data

    def hash_of(self, run: Sequence[int]) -> int:
        """The hash of a run."""
        mixed = 0
        for token in run:
            mixed = (mixed + token) * _FACTOR & _WORD
        return mixed

    def rolled(self, mixed: int, leaving: int, coming: int) -> int:
        """The hash of a run when its first token has left and another has come."""
        return (mixed - leaving * self._leaving + coming) * _FACTOR & _WORD

    def newest(self, mixed: int) -> int:
        """The newest place behind a run with this hash, -1 for none."""
        return int(self._newest_view[mixed >> self._shift])

    def add(self, mixed: int, place: int) -> None:
        bucket = mixed >> self._shift
        self.before[place % len(self._before)] = self._newest_view[bucket]
        self._newest_view[bucket] = place

    def add_many(self, tokens: npt.NDArray[np.int64], first: int) -> None:
        """Add places first, first+1, ... behind all runs of `tokens`, whose last token belongs to none."""
        places = np.arange(first, first + len(tokens) - self.order)
        buckets = self._buckets(tokens, len(places))
        by_bucket = np.argsort(buckets, kind="stable")
        buckets, places = buckets[by_bucket], places[by_bucket]
        begins = np.concatenate(([True], buckets[1:] != buckets[:-1]))
        before = np.concatenate(([-1], places[:-1]))
        before[begins] = self._newest[buckets[begins]]
        self._before[places % len(self._before)] = before
        ends = np.concatenate((begins[1:], [True]))
        self._newest[buckets[ends]] = places[ends]

    def _buckets(self, tokens: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
        words, mixed = tokens.view(np.uint64), np.zeros(count, np.uint64)
        for i in range(self.order):
            mixed = (mixed + words[i : i + count]) * np.uint64(_FACTOR)
        return (mixed >> np.uint64(self._shift)).astype(np.int64)


class RepeatIndex:
    """Texts, of which the newest `capacity` tokens are kept. Token ids are whole numbers from 0 on.

    `orders` are the lengths of the runs that lead to places: no match is shorter than the least, and of a run that occurred very
    often the newest `candidates` places are looked at, for the longest order that has any. `ends` are the hashes of the runs at
    the end of the newest text; with them another index of the same orders need not compute them to `find` the same tail.
    """

    def __init__(self, capacity: int, *, orders: Sequence[int] = (8, 3), candidates: int = 16) -> None:
        assert capacity > max(orders) >= min(orders) > 0, (capacity, orders)
        assert candidates > 0, candidates
        self.capacity, self.size, self._candidates = capacity, 0, candidates
        self._ring = np.full(capacity, _END, np.int64)
        self._tokens = self._ring.data
        self._chains = [_Chains(order, capacity) for order in sorted(orders, reverse=True)]
        self.ends = [0] * len(orders)

    @property
    def oldest(self) -> int:
        """The place of the oldest token that is still kept."""
        return max(0, self.size - self.capacity)

    def add(self, text: Sequence[int]) -> None:
        """Add a whole text: no match goes across its ends."""
        self.extend(text)
        self.extend((_END,))

    def extend(self, tokens: Sequence[int]) -> None:
        """Append tokens to the newest text, which `add` has not ended."""
        if len(tokens) < _FEW:
            for token in tokens:
                self._append(token)
            return
        for start in range(0, len(tokens), self.capacity // 2 or 1):
            self._append_many(np.asarray(tokens[start : start + (self.capacity // 2 or 1)], np.int64))

    def find(self, tail: Sequence[int], ends: Sequence[int] | None = None) -> Match | None:
        """The newest of the longest matches of the end of `tail`, of which the last `LONGEST` tokens count."""
        tail = tail[-LONGEST:]
        for number, chains in enumerate(self._chains):
            if len(tail) >= chains.order:
                mixed = chains.hash_of(tail[-chains.order :]) if ends is None else ends[number]
                if match := self._longest(chains, mixed, tail):
                    return match
        return None

    def after(self, match: Match, most: int) -> list[int]:
        """Up to `most` tokens that stand at a match, to the end of their text.

        Where the unended newest text itself ends, they go on as if it had been continued so: what repeats, repeats on.
        """
        found: list[int] = []
        for place in range(match.place, match.place + most):
            token = self._tokens[place % self.capacity] if place < self.size else found[place - self.size]
            if token == _END:
                break
            found.append(token)
        return found

    def _append(self, token: int) -> None:
        size, capacity, tokens, ends = self.size, self.capacity, self._tokens, self.ends
        for number, chains in enumerate(self._chains):
            leaving = 0
            if size >= chains.order:
                chains.add(ends[number], size)
                leaving = tokens[(size - chains.order) % capacity]
            ends[number] = chains.rolled(ends[number], leaving, token)
        tokens[size % capacity] = token
        self.size += 1

    def _append_many(self, tokens: npt.NDArray[np.int64]) -> None:
        for chains in self._chains:
            first = max(self.size, chains.order)
            if first < self.size + len(tokens):
                chains.add_many(np.concatenate((np.asarray(self._kept(first - chains.order), np.int64), tokens)), first)
        self._ring[np.arange(self.size, self.size + len(tokens)) % self.capacity] = tokens
        self.size += len(tokens)
        self.ends = [chains.hash_of(self._kept(max(0, self.size - chains.order))) for chains in self._chains]

    def _kept(self, first: int) -> list[int]:
        """The tokens from place `first` on."""
        return [self._tokens[place % self.capacity] for place in range(first, self.size)]

    def _longest(self, chains: _Chains, mixed: int, tail: Sequence[int]) -> Match | None:
        tokens, capacity, before, oldest = self._tokens, self.capacity, chains.before, self.oldest
        place, best, length = chains.newest(mixed), -1, chains.order - 1
        for _ in range(self._candidates):
            if place <= oldest or length == len(tail):
                break
            # a longer match agrees with the tail where the best one ended
            if tokens[(place - 1 - length) % capacity] == tail[-1 - length] and tokens[place % capacity] != _END:
                common = self._common(place, tail)
                if common > length:
                    best, length = place, common
            place = before[place % capacity]
        return Match(length, best) if best >= 0 else None

    def _common(self, place: int, tail: Sequence[int]) -> int:
        """How many tokens before `place` are those at the end of `tail`."""
        tokens, capacity, most = self._tokens, self.capacity, min(len(tail), place - self.oldest)
        for length in range(most):
            if tokens[(place - 1 - length) % capacity] != tail[-1 - length]:
                return length
        return most
