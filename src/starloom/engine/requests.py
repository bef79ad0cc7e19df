"""What is asked of the engine and what comes back: options, pieces of text, finished completions, and the way between threads.

Knows no models and no scheduling; who waits for an answer need not know that there is a thread which writes it.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from starloom.core.errors import SettingsError
from starloom.engine.sampling import Sampling, check_count, check_number

FinishReason = Literal["stop", "length", "deadline", "cancelled"]

MOST_COMPLETIONS, MOST_ALTERNATIVES = 64, 100


@dataclass(frozen=True, kw_only=True)
class Options(Sampling):
    """How a prompt is to be completed. Raises `SettingsError` that names the value and what would work.

    `max_tokens` counts tokens that reach the completion. `stops` are ids, by default the contract's; the completion ends before
    one of them or before the first of `stop_texts`. Of `best_of` completions (by default `n`) those `n` come back whose tokens
    are the likeliest in the mean. `log_probabilities` asks for those of the tokens, with so many alternatives at each.
    Requests of higher `priority` go first. After `deadline` seconds the completion ends as it is.
    `speculate` never changes what is written.
    """

    max_tokens: int = 64
    stops: Sequence[int] | None = None
    stop_texts: Sequence[str] = ()
    n: int = 1
    best_of: int | None = None
    log_probabilities: int | None = None
    priority: int = 0
    deadline: float | None = None
    speculate: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("max_tokens", self.max_tokens, 1, "at least 1")
        check_count("n", self.n, 1, f"from 1 to {MOST_COMPLETIONS}")
        if not self.n <= self.num_completions <= MOST_COMPLETIONS:
            name, value = ("n", self.n) if self.best_of is None else ("best_of", self.best_of)
            raise SettingsError(f"{name} is {value}; it must be from {self.n if self.best_of else 1} to {MOST_COMPLETIONS}")
        check_count("log_probabilities", self.log_probabilities, 0, f"None or from 0 to {MOST_ALTERNATIVES}")
        if (self.log_probabilities or 0) > MOST_ALTERNATIVES:
            raise SettingsError(
                f"log_probabilities is {self.log_probabilities}; it must be None or from 0 to {MOST_ALTERNATIVES}"
            )
        check_number("priority", self.priority, -math.inf, math.inf, "a number")
        if self.deadline is not None:
            check_number("deadline", self.deadline, 0, math.inf, "None or a number of seconds above 0", open_below=True)
        if isinstance(self.stop_texts, str) or not all(self.stop_texts):
            raise SettingsError(f"stop_texts is {self.stop_texts!r}; it must be a list of texts of at least one character")

    @property
    def num_completions(self) -> int:
        """How many completions are written, those among them that do not come back."""
        return self.n if self.best_of is None else self.best_of


@dataclass(frozen=True)
class Completion:
    """A finished completion.

    `ids` are all tokens chosen before the stop; the first `held_tokens` of them write only what the prompt held back, and no
    text comes of these. `log_probabilities` are theirs under the model alone, at temperature 1 over the whole vocabulary, and
    `alternatives` the likeliest tokens at each place: None unless asked for. Of the prompt's `prompt_tokens`,
    `reused_tokens` had been evaluated for earlier requests.
    """

    text: str
    ids: list[int]
    finish_reason: FinishReason
    index: int = 0
    prompt_tokens: int = 0
    reused_tokens: int = 0
    log_probabilities: list[float] | None = None
    alternatives: list[list[tuple[int, float]]] | None = None
    held_tokens: int = 0


@dataclass(frozen=True)
class Piece:
    """Some more text of the completion `index`, perhaps none; its last piece carries the whole completion."""

    text: str
    index: int = 0
    completion: Completion | None = None


@dataclass(frozen=True)
class Scores:
    """The log-probabilities of given tokens; `alternatives` are the likeliest tokens at each place.

    The first is None where nothing stands before it.
    """

    ids: list[int]
    log_probabilities: list[float | None]
    alternatives: list[list[tuple[int, float]]]


Event = Piece | Scores | Exception
_arrivals = itertools.count()


class Request:
    """One request on its way: whoever asked listens to it and may cancel it, the engine's thread writes to it.

    `listen` is called from the engine's thread and must not wait.
    """

    def __init__(self, listen: Callable[[Event], None], *, priority: float = 0, deadline: float | None = None) -> None:
        self.key = (-priority, next(_arrivals))  # the least goes first
        self.cancelled = False
        self._listen, self._failed = listen, False
        self._end = math.inf if deadline is None else time.monotonic() + deadline

    def cancel(self) -> None:
        """Ask for the end; it comes within one step."""
        self.cancelled = True

    def reason_to_end(self, now: float) -> FinishReason | None:
        """Why the request must end by `now`, if it must."""
        if self.cancelled:
            return "cancelled"
        return "deadline" if now >= self._end else None

    def tell(self, event: Event) -> None:
        """Hand something to who listens; an error is the last that they hear."""
        if not self._failed:
            self._failed = isinstance(event, Exception)
            self._listen(event)
