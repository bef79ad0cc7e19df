"""Penalties against repeating: changes to logits by which tokens stand in the text already. Knows no text and no models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Strengths:
    """How strongly each penalty works.

    `repetition` divides the positive and multiplies the negative logits of tokens in the prompt or the completion (1: not at
    all); `frequency` is taken off once for each occurrence in the completion, `presence` once if there is any (0: not at all).
    """

    repetition: float = 1.0
    frequency: float = 0.0
    presence: float = 0.0

    @property
    def none(self) -> bool:
        """Whether nothing is changed."""
        return self.repetition == 1 and self.frequency == 0 and self.presence == 0


class Penalties:
    """The penalties of one completion, and the counts they depend on."""

    def __init__(self, strengths: Strengths, vocab_size: int, prompt: Sequence[int]) -> None:
        self._strengths = strengths
        self._seen = np.zeros(vocab_size, bool)
        self._seen[list(prompt)] = True
        self._counts = np.zeros(vocab_size, np.int32)

    def apply(self, logits: F32) -> None:
        """Change `logits` [V] in place."""
        strengths = self._strengths
        if strengths.repetition != 1:
            seen = logits[self._seen]
            logits[self._seen] = np.where(seen > 0, seen / strengths.repetition, seen * strengths.repetition)
        if strengths.frequency or strengths.presence:
            logits -= np.float32(strengths.frequency) * self._counts + np.float32(strengths.presence) * (self._counts > 0)

    def count(self, token: int) -> None:
        """`token` was chosen."""
        self._seen[token] = True
        self._counts[token] += 1

    @classmethod
    def of(cls, strengths: Strengths, vocab_size: int, prompt: Sequence[int]) -> Self | None:
        """None where nothing is to be changed."""
        return None if strengths.none else cls(strengths, vocab_size, prompt)
