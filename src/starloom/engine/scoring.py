"""The log-probabilities of a given text: its tokens are run, and nothing is chosen."""

from __future__ import annotations

from starloom.engine.requests import FinishReason, Request, Scores
from starloom.engine.sampling import likeliest, log_softmax
from starloom.engine.tasks import F32, Task


class Scoring(Task):
    """Scores `ids` from the place `start` on; those before it are context. The answer ends early only with the request."""

    most_rows = 64  # rows of logits are large

    def __init__(self, request: Request, ids: list[int], start: int, alternatives: int) -> None:
        super().__init__(request, ids, len(ids))
        self._start, self._num_alternatives = start, alternatives
        self._scores: list[float | None] = [None] if start == 0 else []
        self._alternatives: list[list[tuple[int, float]]] = [[]] if start == 0 else []

    @property
    def num_needed(self) -> int:
        """See `Task`: nothing follows the last token."""
        return len(self.ids) - 1

    @property
    def most_reused(self) -> int:
        """See `Task`."""
        return self._first_wanted

    def num_logits(self, count: int) -> int:
        """See `Task`."""
        return min(count, max(0, self.length + count - self._first_wanted))

    def take(self, logits: F32, guessed: list[int]) -> int:
        """See `Task`."""
        for row in logits:
            log_probabilities = log_softmax(row)
            self._scores.append(float(log_probabilities[self.ids[self._start + len(self._scores)]]))
            self._alternatives.append(likeliest(log_probabilities, self._num_alternatives))
        if self._start + len(self._scores) == len(self.ids):
            self.end("stop")
        return 0

    def end(self, reason: FinishReason) -> None:
        """See `Task`."""
        self.finished = True
        scored = self.ids[self._start :][: len(self._scores)]
        self.request.tell(Scores(scored, self._scores, self._alternatives))

    @property
    def _first_wanted(self) -> int:
        """The place of the token whose logits score the next one."""
        return self._start + len(self._scores) - 1
