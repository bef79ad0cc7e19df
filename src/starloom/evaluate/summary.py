"""What many outcomes say: the shares of one system, and two systems on the same examples. Knows no output format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Self

from starloom.core.errors import InputError, MismatchError
from starloom.evaluate.scores import Outcome
from starloom.evaluate.significance import mcnemar, wilson


@dataclass(frozen=True)
class Share:
    """`count` of `total`, as a share from 0 to 1 with its 95 % interval."""

    count: int
    total: int
    share: float
    low: float
    high: float

    @classmethod
    def of(cls, flags: Sequence[bool]) -> Self:
        """The share of True."""
        count, total = sum(flags), len(flags)
        return cls(count, total, count / total if total else 0.0, *wilson(count, total))


@dataclass(frozen=True)
class Summary:
    """One system on one set of examples; `whole` is None when the system cannot stop by itself."""

    exact: Share
    similarity: float
    whole: Share | None


@dataclass(frozen=True)
class Comparison:
    """Two systems on the same examples, by exact first lines; `p` is McNemar's exact, two-sided."""

    both: int
    only_first: int
    only_second: int
    neither: int
    p: float


def summarise(outcomes: Sequence[Outcome]) -> Summary:
    """The shares and the mean of one system. Raises `InputError` without outcomes."""
    if not outcomes:
        raise InputError("there is no outcome to summarise: evaluate at least one example")
    whole = [outcome.whole for outcome in outcomes if outcome.whole is not None]
    return Summary(
        exact=Share.of([outcome.exact for outcome in outcomes]),
        similarity=fmean(outcome.similarity for outcome in outcomes),
        whole=Share.of(whole) if whole else None,
    )


def compare(first: Sequence[Outcome], second: Sequence[Outcome]) -> Comparison:
    """Pair two systems' outcomes. Raises `MismatchError` unless both hold the same examples in the same order."""
    if [outcome.example for outcome in first] != [outcome.example for outcome in second]:
        raise MismatchError("the two systems were not asked the same examples: they cannot be compared in pairs")
    pairs = [(one.exact, other.exact) for one, other in zip(first, second, strict=True)]
    only_first, only_second = pairs.count((True, False)), pairs.count((False, True))
    return Comparison(
        pairs.count((True, True)), only_first, only_second, pairs.count((False, False)), mcnemar(only_first, only_second)
    )
