"""Guesses at what the model will write, taken from what was written before: no second model, and never another result.

A `Guesser` proposes tokens; the scheduler runs them in one step with the newest token and keeps those that the model would have
chosen itself. Texts come from the request, from files that the engine was shown and from recent answers. How many tokens are
proposed follows from how often proposals came true of late after matches of that length. Knows nothing of models or sampling.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

from starloom.engine.repeat_index import LONGEST, RepeatIndex

ROW_COST = 0.1
"""What one more row costs in a step that decodes one token, as a share of that step; a cautious figure for 3B on two cores."""

_FADE = 0.95
_START = (0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9)  # chances before anything is known, by bit length of the match
_REST = 32


class Guesser(Protocol):
    """Proposes continuations for one request. Guesses may be wrong: they cost time, never correctness."""

    def guess(self, ids: Sequence[int], most: int) -> list[int]:
        """At most `most` tokens that may follow `ids`: the prompt and all chosen tokens, those of the last call and more."""
        ...

    def accept(self, offered: int, accepted: int) -> None:
        """Of the last guess, `offered` tokens were tried and the first `accepted` of them came true."""
        ...


@dataclass(frozen=True)
class SpeculationStats:
    """Tokens since the start: proposed and tried, and of these kept."""

    offered: int = 0
    accepted: int = 0


class Odds:
    """How far a match of a given length is worth following.

    The k-th token of a guess comes true with chance p^k; it is worth trying while that exceeds what a row costs. p is counted by
    length of the match, and older counts fade. Where p is too low for any token, one is tried now and then, to notice a change.
    """

    def __init__(self, row_cost: float = ROW_COST) -> None:
        assert 0 < row_cost < 1
        self._least = math.log(row_cost)
        self._came_true = [4 * chance for chance in _START]
        self._failed = [4 * (1 - chance) for chance in _START]
        self._silent = [0] * len(_START)

    def length(self, match: int) -> int:
        """How many tokens to try after a match of `match` tokens."""
        place = _class_of(match)
        chance = self._came_true[place] / (self._came_true[place] + self._failed[place])
        worth = int(self._least / math.log(chance)) if 0 < chance < 1 else 0
        if worth:
            self._silent[place] = 0
            return worth
        self._silent[place] = (self._silent[place] + 1) % _REST
        return int(self._silent[place] == 0)

    def count(self, match: int, offered: int, accepted: int) -> None:
        """Of `offered` tokens after such a match, the first `accepted` came true."""
        place = _class_of(match)
        self._came_true[place] = self._came_true[place] * _FADE + accepted
        self._failed[place] = self._failed[place] * _FADE + (accepted < offered)


def _class_of(match: int) -> int:
    return min(match.bit_length(), len(_START) - 1)


class Speculation:
    """What all requests of an engine share: files, recent answers, and how guesses fared. Safe to use from several threads.

    Keeps the newest `capacity` tokens, about 50 bytes each.
    """

    def __init__(self, capacity: int = 1 << 18, *, row_cost: float = ROW_COST) -> None:
        self._index, self._odds, self._lock = RepeatIndex(capacity), Odds(row_cost), Lock()
        self._learned: dict[int, int] = {}
        self._stats = SpeculationStats()

    @property
    def stats(self) -> SpeculationStats:
        """Counts since the start."""
        return self._stats

    def learn(self, ids: Sequence[int]) -> None:
        """Take in a file, or any text that answers may repeat; one that is still kept is not taken in twice."""
        fingerprint = hash(tuple(ids))
        with self._lock:
            if self._learned.get(fingerprint, -1) < self._index.oldest:
                self._learned[fingerprint] = self._index.size
                self._index.add(ids)
                self._forget()

    def learn_answer(self, prompt: Sequence[int], answer: Sequence[int]) -> None:
        """Take in an answer with the end of its prompt: who types what was proposed is answered with the rest of it."""
        if answer:
            self.learn([*prompt[-2 * LONGEST :], *answer])

    def guesser(self) -> RepeatGuesser:
        """A guesser for a new request."""
        return RepeatGuesser(self)

    def _forget(self) -> None:
        """Drop the fingerprints of texts that are gone, once they are many."""
        if len(self._learned) > 1024:
            kept = sorted((place, text) for text, place in self._learned.items() if place >= self._index.oldest)
            self._learned = {text: place for place, text in kept[-512:]}

    def _guess(self, own: RepeatIndex, tail: Sequence[int], most: int) -> tuple[int, list[int]]:
        """The length of the longest match in `own` or in the shared index, and what is worth trying after it."""
        with self._lock:
            here, there = own.find(tail, own.ends), self._index.find(tail, own.ends)
            index, match = (own, here) if there is None or (here and here.length >= there.length) else (self._index, there)
            if match is None:
                return 0, []
            return match.length, index.after(match, min(most, self._odds.length(match.length)))

    def _count(self, match: int, offered: int, accepted: int) -> None:
        with self._lock:
            self._odds.count(match, offered, accepted)
            self._stats = SpeculationStats(self._stats.offered + offered, self._stats.accepted + accepted)


class RepeatGuesser:
    """Goes on where the end of the request's text occurred before: the newest of the longest matches. For one thread."""

    def __init__(self, shared: Speculation, capacity: int = 1 << 14) -> None:
        self._shared, self._own, self._match = shared, RepeatIndex(capacity), 0

    def guess(self, ids: Sequence[int], most: int) -> list[int]:
        """See `Guesser`."""
        self._own.extend(ids[self._own.size :])
        self._match, guessed = self._shared._guess(self._own, ids[-LONGEST:], most) if most > 0 else (0, [])
        return guessed

    def accept(self, offered: int, accepted: int) -> None:
        """See `Guesser`."""
        assert 0 <= accepted <= offered
        if offered:
            self._shared._count(self._match, offered, accepted)
