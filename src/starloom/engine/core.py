"""The engine's view of a model: ids of several sequences in, logits out, keys and values in numbered pages.

`Core` is all that scheduling knows of a model; `native_core` has the real one, tests have a small fake. Nothing here knows
requests, text or files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

PAGE = 32
"""Positions in a page of keys and values (kPage in native/include/starloom/attention.h)."""


@dataclass(frozen=True)
class Part:
    """Some new positions of one sequence in a step.

    `ids` are its tokens at `position` and after; `table[i]` is the page of positions [32 i, 32 i + 32), -1 where the sliding
    window has passed; it covers the new positions too. The logits of the last `num_logits` of its rows are wanted.
    """

    ids: Sequence[int]
    position: int
    table: npt.NDArray[np.int32]
    num_logits: int = 1


class Core(Protocol):
    """A model with its pages. Not to be called from two threads at once."""

    @property
    def vocab_size(self) -> int:
        """How many logits a row has."""
        ...

    @property
    def max_positions(self) -> int:
        """The most positions of a sequence."""
        ...

    @property
    def window(self) -> int | None:
        """How many of the newest keys a query sees, its own among them; None for all."""
        ...

    @property
    def num_pages(self) -> int:
        """Pages are numbered from 0 to this."""
        ...

    def step(self, parts: Sequence[Part]) -> npt.NDArray[np.float32]:
        """Run all parts at once; logits [sum of num_logits, vocab_size], parts in order."""
        ...

    def copy_page(self, source: int, target: int) -> None:
        """Make page `target` equal to page `source`."""
        ...
