"""Guesses at what the model will write, taken from what was written before: no second model, and never another result.

A `Guesser` proposes tokens; the scheduler runs them in one step with the newest token and keeps those that the model would have
chosen itself. Texts come from the request, from files that the engine was shown and from recent answers; how many tokens are
proposed is decided by `odds`. Knows nothing of models or sampling.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

from starloom.engine.odds import Odds, RowCost
from starloom.engine.repeat_index import LONGEST, RepeatIndex

_FELT = 0.02  # of a plain step
_LONGEST_PAUSE = 7  # tokens


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


class Speculation:
    """What all requests of an engine share: files, recent answers, and how guesses fared. Safe to use from several threads.

    Keeps the newest `capacity` tokens, about 50 bytes each.
    """

    def __init__(self, capacity: int = 1 << 18, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self._index, self._odds, self._lock = RepeatIndex(capacity), Odds(), Lock()
        self._row_cost, self.clock = RowCost(), clock
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
            return match.length, index.after(match, min(most, self._odds.length(match.length, self._row_cost.share)))

    def _time(self, tried: int, seconds: float) -> float:
        """A step that tried `tried` tokens, none of which came true, took `seconds`, all that belongs to it included.

        Returns the seconds of a plain step.
        """
        with self._lock:
            self._row_cost.count(tried, seconds)
            return self._row_cost.plain

    def _count(self, match: int, offered: int, accepted: int) -> None:
        with self._lock:
            self._odds.count(match, offered, accepted)
            self._stats = SpeculationStats(self._stats.offered + offered, self._stats.accepted + accepted)


class RepeatGuesser:
    """Goes on where the end of the request's text occurred before: the newest of the longest matches. For one thread.

    Where steps are so short that looking for matches would be felt, it looks less often while no guess comes true.
    """

    def __init__(self, shared: Speculation, capacity: int = 1 << 14) -> None:
        self._shared, self._own, self._match = shared, RepeatIndex(capacity), 0
        self._since: float | None = None  # when the last guess was given, where the step after it was a decoding one
        self._tried, self._plain = 0, 0.0
        self._pause, self._paused = 0, 0

    def guess(self, ids: Sequence[int], most: int) -> list[int]:
        """See `Guesser`."""
        if self._paused < self._pause:
            self._paused, self._since = self._paused + 1, None
            return []
        began, first = self._shared.clock(), self._own.size == 0
        if self._since is not None:
            self._plain = self._shared._time(self._tried, began - self._since)
        self._own.extend(ids[self._own.size :])
        self._match, guessed = self._shared._guess(self._own, ids[-LONGEST:], most) if most > 0 else (0, [])
        ended = self._shared.clock()
        felt = ended - began > _FELT * self._plain > 0
        self._pause, self._paused = min(2 * self._pause + 1, _LONGEST_PAUSE) if felt else 0, 0
        self._tried, self._since = 0, None if first else ended
        return guessed

    def accept(self, offered: int, accepted: int) -> None:
        """See `Guesser`."""
        assert 0 <= accepted <= offered
        self._tried = offered
        if accepted:  # the tokens that came true took time of their own, which is not the cost of trying them
            self._since, self._pause = None, 0
        if offered:
            self._shared._count(self._match, offered, accepted)
