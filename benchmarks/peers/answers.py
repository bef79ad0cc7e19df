"""What an engine answers in a benchmark, whichever it is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """The ids, how many prompt tokens were evaluated for them, and the seconds that the whole request took."""

    ids: list[int]
    evaluated: int
    seconds: float
