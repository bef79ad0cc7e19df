"""Which tokens are in which step: a pure function of the seed and the step, so that a killed run repeats itself.

Every epoch cuts the shards into windows at a new offset and shuffles them; a window's random draws (fill in the middle)
come from a generator seeded with the epoch and the window alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from starloom.contract.shards import Shards
from starloom.core.errors import InputError
from starloom.train.fill_in import FillIn
from starloom.train.loss import IGNORED


@dataclass(frozen=True)
class Batch:
    """`inputs_BT` and the next tokens `targets_BT` (padding is `IGNORED`); `windows` names the windows for messages."""

    inputs_BT: Tensor
    targets_BT: Tensor
    windows: list[tuple[int, int]]


class Batches:
    """Random access to the batches of a run."""

    def __init__(self, shards: Shards, fill_in: FillIn, *, sequence: int, batch: int, seed: int) -> None:
        self._shards, self._fill_in = shards, fill_in
        self._sequence, self._batch, self._seed = sequence, batch, seed
        self.windows_per_epoch = (len(shards) - 1) // sequence - 1
        if self.windows_per_epoch < 1:
            raise InputError(
                f"{len(shards):,} tokens are too few for windows of {sequence}: build more data or shorten 'sequence'"
            )
        self._order: tuple[int, np.ndarray, int] | None = None

    def of_step(self, step: int) -> Batch:
        """The batch of 0-based `step`."""
        windows = [divmod(step * self._batch + row, self.windows_per_epoch) for row in range(self._batch)]
        ids_BT = torch.from_numpy(np.stack([self._window(epoch, place) for epoch, place in windows]))
        targets_BT = ids_BT[:, 1:].clone()
        targets_BT[targets_BT == self._fill_in.pad] = IGNORED
        return Batch(ids_BT[:, :-1].contiguous(), targets_BT, windows)

    def _window(self, epoch: int, place: int) -> np.ndarray:
        order, offset = self._epoch(epoch)
        window = int(order[place])
        ids = self._shards.read(offset + window * self._sequence, self._sequence + 1)
        return self._fill_in(ids, np.random.default_rng((self._seed, epoch, window)))

    def _epoch(self, epoch: int) -> tuple[np.ndarray, int]:
        if self._order is None or self._order[0] != epoch:
            random = np.random.default_rng((self._seed, epoch))
            offset = int(random.integers(self._sequence))
            self._order = (epoch, random.permutation(self.windows_per_epoch), offset)
        return self._order[1], self._order[2]
