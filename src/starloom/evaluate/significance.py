"""How far counts can be trusted: intervals for shares, and the exact paired test. Pure functions of counts."""

from __future__ import annotations

from math import comb, sqrt

_Z = 1.959963984540054
"""The standard normal's 97.5 % point, for 95 % intervals."""


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % interval for the chance behind `successes` of `trials` (Wilson 1927, score interval); (0, 1) without trials."""
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials} is no share")
    if trials == 0:
        return 0.0, 1.0
    share, weight = successes / trials, _Z * _Z / trials
    centre = (share + weight / 2) / (1 + weight)
    half = _Z * sqrt(share * (1 - share) / trials + weight / (4 * trials)) / (1 + weight)
    return max(0.0, centre - half), min(1.0, centre + half)


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p of McNemar's test: how likely counts so uneven are when neither system is better."""
    if min(only_first, only_second) < 0:
        raise ValueError(f"{only_first} and {only_second} are no counts")
    trials, fewer = only_first + only_second, min(only_first, only_second)
    tail: float = sum(comb(trials, count) for count in range(fewer + 1)) / 2**trials
    return min(1.0, 2 * tail)
