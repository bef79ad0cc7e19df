"""From a row of logits to a token: the likeliest, or one that is drawn.

In this order: penalties, biases, tokens that may not come, temperature, the `top_k` likeliest, the fewest that hold `top_p` of
these, what has at least `min_p` of the likeliest one's chance, and a draw. Every draw takes one number of the completion's own
generator, so a completion depends on its seed alone. Knows no text and no requests.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from starloom.core.errors import FormatError, SettingsError
from starloom.engine.penalties import Penalties, Strengths

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How tokens are chosen. Raises `SettingsError` that names the value and what would work.

    At temperature 0 the likeliest token is taken, of equals the one with the lowest id. `seed` None draws a seed.
    `logit_bias` is added to the logits of the tokens that it names.
    """

    temperature: float = 0.0
    top_k: int | None = None
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    seed: int | None = 0

    def __post_init__(self) -> None:
        check_number("temperature", self.temperature, 0, math.inf, "a number from 0 on")
        check_count("top_k", self.top_k, 1, "None or a whole number from 1 on")
        check_number("top_p", self.top_p, 0, 1, "above 0 and at most 1", open_below=True)
        check_number("min_p", self.min_p, 0, 1, "a number from 0 to 1")
        check_number("repetition_penalty", self.repetition_penalty, 0, math.inf, "a number above 0", open_below=True)
        for name in ("frequency_penalty", "presence_penalty"):
            check_number(name, getattr(self, name), -math.inf, math.inf, "a number")
        check_count("seed", self.seed, 0, "None or a whole number from 0 on")
        for token, bias in self.logit_bias.items():
            check_count("a token of logit_bias", token, 0, "an id, a whole number from 0 on")
            check_number(f"logit_bias[{token}]", bias, -math.inf, math.inf, "a number")

    @property
    def restricts(self) -> bool:
        """Whether some tokens are left out."""
        return self.top_k is not None or self.top_p < 1 or self.min_p > 0

    @property
    def strengths(self) -> Strengths:
        """The three penalties."""
        return Strengths(self.repetition_penalty, self.frequency_penalty, self.presence_penalty)


def check_number(name: str, value: object, low: float, high: float, wanted: str, *, open_below: bool = False) -> None:
    """Raise `SettingsError` unless `value` is a finite number from `low` (or above it) to `high`."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and low <= value <= high
    if not good or (open_below and value == low):
        raise SettingsError(f"{name} is {value!r}; it must be {wanted}")


def check_count(name: str, value: object, low: int, wanted: str) -> None:
    """Raise `SettingsError` unless `value` is None or a whole number from `low` on. Where None is no choice, `wanted` says so."""
    good = value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= low)
    if not good or (value is None and "None" not in wanted):
        raise SettingsError(f"{name} is {value!r}; it must be {wanted}")


class Vocabulary:
    """Which ids may come, and how many there are: the same for all completions of a model with the same stops."""

    def __init__(self, vocab_size: int, forbidden: Sequence[int]) -> None:
        self.size = vocab_size
        self.forbidden = np.asarray(sorted(forbidden), np.int64)
        self.is_forbidden = frozenset(forbidden)


class Sampler:
    """Chooses the tokens of one completion, one after the other. `index` tells apart the completions of one request."""

    def __init__(self, sampling: Sampling, vocabulary: Vocabulary, prompt: Sequence[int], index: int = 0) -> None:
        self._sampling, self._vocabulary = sampling, vocabulary
        self._penalties = Penalties.of(sampling.strengths, vocabulary.size, prompt)
        self._biased = np.fromiter(sampling.logit_bias.keys(), np.int64)
        self._bias = np.fromiter(sampling.logit_bias.values(), np.float32)
        if len(self._biased) and self._biased.max() >= vocabulary.size:
            raise SettingsError(f"logit_bias names the id {self._biased.max()}; the model knows 0 to {vocabulary.size - 1}")
        self._generator = np.random.default_rng(None if sampling.seed is None else [sampling.seed, index])

    def choose(self, logits: F32, allowed: I64 | None = None) -> int:
        """The next token by its `logits` [V]; one of the ids `allowed`, if given.

        Raises `FormatError` for logits that are not numbers.
        """
        if self._penalties is not None or len(self._biased):
            logits = self._changed(logits)
        token = self._among(logits, allowed) if allowed is not None else self._anywhere(logits)
        if self._penalties is not None:
            self._penalties.count(token)
        return token

    def _changed(self, logits: F32) -> F32:
        logits = logits.copy()
        if self._penalties is not None:
            self._penalties.apply(logits)
        logits[self._biased] += self._bias
        return logits

    def _anywhere(self, logits: F32) -> int:
        if self._sampling.temperature == 0:
            token = int(logits.argmax())
            if token not in self._vocabulary.is_forbidden:
                _check(logits[token])
                return token
        logits = logits.copy()
        logits[self._vocabulary.forbidden] = -np.inf
        return self._draw(logits)

    def _among(self, logits: F32, allowed: I64) -> int:
        return int(allowed[self._draw(logits[allowed])])

    def _draw(self, logits: F32) -> int:
        best = logits.argmax()
        _check(logits[best])
        if self._sampling.temperature == 0:
            return int(best)
        with np.errstate(over="ignore", under="ignore"):
            chances = np.exp((logits.astype(np.float64) - float(logits[best])) / self._sampling.temperature)
        if not self._sampling.restricts:
            return self._by_chance(chances)
        ids = self._kept(chances)
        return int(ids[self._by_chance(chances[ids])])

    def _by_chance(self, chances: F64) -> int:
        ends = chances.cumsum()
        return min(int(ends.searchsorted(self._generator.random() * ends[-1], side="right")), len(ends) - 1)

    def _kept(self, chances: F64) -> I64:
        """The ids that may be drawn, from chances of which the largest is 1."""
        sampling, ids = self._sampling, np.flatnonzero(chances)
        if sampling.top_k is not None and sampling.top_k < len(ids):
            ids = _largest(chances, ids, sampling.top_k)
        if sampling.top_p < 1:
            ids = _smallest_set(chances, ids, sampling.top_p)
        return ids if sampling.min_p == 0 else ids[chances[ids] >= sampling.min_p]


def _largest(chances: F64, ids: I64, count: int) -> I64:
    """The `count` likeliest of `ids`, the likeliest first, of equals the lowest id."""
    least = np.partition(chances[ids], -count)[-count]
    ids = ids[chances[ids] >= least]
    return ids[np.argsort(-chances[ids], kind="stable")][:count]


def _smallest_set(chances: F64, ids: I64, share: float) -> I64:
    """The likeliest of `ids` up to the one with which they hold `share` of the whole."""
    whole = float(chances[ids].sum())
    ids = ids[chances[ids] >= 0.99 * (1 - share) * whole / len(ids)]  # together the others hold less than may be left out
    ids = ids[np.argsort(-chances[ids], kind="stable")]
    return ids[chances[ids].cumsum() - chances[ids] < share * whole]


def _check(largest: np.float32) -> None:
    if not math.isfinite(largest):
        raise FormatError("the model's logits are not finite: its weights are damaged")


def log_softmax(logits: F32) -> F64:
    """Log-probabilities [V] of all ids under the model alone: at temperature 1, over the whole vocabulary."""
    shifted = logits.astype(np.float64) - float(logits.max())
    return shifted - math.log(np.exp(shifted).sum())


def likeliest(log_probabilities: F64, count: int) -> list[tuple[int, float]]:
    """The `count` likeliest ids with their log-probabilities, the likeliest first, of equals the lowest id."""
    if count == 0:
        return []
    ids = _largest(log_probabilities, np.arange(len(log_probabilities)), min(count, len(log_probabilities)))
    return [(int(token), float(log_probabilities[token])) for token in ids]
