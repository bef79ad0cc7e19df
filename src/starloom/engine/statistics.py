"""What an engine has done since it was opened, and what it holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Stats:
    """Counts since the start, and the state at the moment of asking; times are seconds.

    A prompt's tokens are `reused` or `evaluated`; `drawn` tokens reached a text, of them `accepted` were among the `guessed`.
    `evaluated` counts every row that was run: guesses that failed and what was run again after a request had to wait, too.
    """

    requests: int = 0
    steps: int = 0
    evaluated: int = 0
    reused: int = 0
    drawn: int = 0
    guessed: int = 0
    accepted: int = 0
    preempted: int = 0
    step_seconds: float = 0.0
    busy_seconds: float = 0.0
    running: int = 0
    waiting: int = 0
    pages: int = 0
    pages_free: int = 0
    pages_kept: int = 0
