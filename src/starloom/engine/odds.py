"""How many tokens are worth guessing: as many as will rather come true than cost what they cost. Knows no tokens."""

from __future__ import annotations

import math

ROW_COST = 0.1
"""What one more row costs in a step, as a share of a step that decodes one token; where nothing is known yet."""

_LEAST_COST, _MOST_COST = 0.01, 0.8
_FADE = 0.95
_START = (0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9)  # chances before anything is known, by bit length of the match
_REST = 32


class RowCost:
    """What one more row costs, as a share of a plain step, by the steps' own times; `plain` is that of such a step.

    Of a machine whose speed drifts, and of steps that have prompts in them: single times count for little, and outliers less.
    """

    def __init__(self, start: float = ROW_COST) -> None:
        self.share, self.plain = start, 0.0
        self._weight = 0.5

    def count(self, tried: int, seconds: float) -> None:
        """A step with `tried` guesses beside its token, of which none came true, took `seconds`."""
        if not self.plain:
            self.plain = 0.0 if tried else seconds
        elif tried == 0:
            self.plain += 0.1 * (min(seconds, 2 * self.plain) - self.plain)
        else:
            seen = min(max((seconds / self.plain - 1) / tried, _LEAST_COST), _MOST_COST)
            self._weight = max(1 - _FADE, self._weight * 0.8)
            self.share += self._weight * (seen - self.share)


class Odds:
    """How far a match of a given length is worth following.

    The k-th token of a guess comes true with chance p^k; it is worth trying while that exceeds what a row costs. p is counted by
    length of the match, and older counts fade. Where p is too low for any token, one is tried now and then, to notice a change.
    """

    def __init__(self) -> None:
        self._came_true = [4 * chance for chance in _START]
        self._failed = [4 * (1 - chance) for chance in _START]
        self._silent = [0] * len(_START)

    def length(self, match: int, row_cost: float = ROW_COST) -> int:
        """How many tokens to try after a match of `match` tokens."""
        place = _class_of(match)
        chance = self._came_true[place] / (self._came_true[place] + self._failed[place])
        worth = int(math.log(row_cost) / math.log(chance)) if 0 < chance < 1 else 0
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
