"""What the scheduler runs: a text whose tokens are to be stored, with logits wanted at some of its places.

A task knows what to do with its logits; the scheduler knows when it is run. Everything here happens in the engine's thread.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from starloom.engine.requests import FinishReason, Request
from starloom.engine.sequences import Stored

F32 = npt.NDArray[np.float32]


class Task(ABC):
    """A text `ids` of one request, at most `capacity` long; `stored` is what is in pages of it, None while it waits.

    Tasks with the least `order` go first; no two have the same.
    """

    most_rows = 1 << 30
    """The most rows of a step, for tasks that want logits of many."""

    def __init__(self, request: Request, ids: list[int], capacity: int, index: int = 0) -> None:
        self.request, self.ids, self.capacity = request, ids, capacity
        self.order = (*request.key, index)
        self.stored: Stored | None = None
        self.started, self.finished = False, False

    @property
    def length(self) -> int:
        """Positions that are stored."""
        return 0 if self.stored is None else self.stored.length

    @property
    def pending(self) -> int:
        """Tokens that are known and not stored."""
        return self.num_needed - self.length

    @property
    def num_needed(self) -> int:
        """Tokens that must be stored before the task can go on."""
        return len(self.ids)

    @property
    def most_reused(self) -> int:
        """How many positions may come from earlier texts: behind them logits are wanted."""
        return self.num_needed - 1

    @abstractmethod
    def num_logits(self, count: int) -> int:
        """Of the next `count` rows, the last so many need logits."""

    def guess(self, most: int) -> list[int]:
        """Tokens that may follow `ids`; to be tried in the step that stores all pending ones."""
        return []

    @abstractmethod
    def take(self, logits: F32, guessed: list[int]) -> int:
        """Go on by `logits` [rows wanted, V]: those of the pending tokens that were run, then those of `guessed`.

        Returns how many of `guessed` hold.
        """

    @abstractmethod
    def end(self, reason: FinishReason) -> None:
        """Finish with what there is."""

    def forks(self) -> list[Task]:
        """Tasks that go on from the same stored positions and logits; each is given out once."""
        return []

    def fail(self, error: Exception) -> None:
        """Finish without a result."""
        if not self.finished:
            self.finished = True
            self.request.cancel()  # and with it other completions of the same request
            self.request.tell(error)
