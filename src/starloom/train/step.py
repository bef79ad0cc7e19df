"""Forward and backward of one batch: autocast, compilation, the chunked loss, micro-batches. No optimizer, no data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from starloom.model.starcoder2 import StarCoder2
from starloom.train.loss import head_loss


class Step:
    """Adds a batch's gradients to a model's parameters."""

    def __init__(
        self, model: StarCoder2, *, precision: Literal["fp32", "bf16"], compiled: bool, loss_chunk: int, micro_batch: int
    ) -> None:
        self._model, self._compiled = model, compiled
        self._low = precision == "bf16"
        self._loss_chunk, self._micro_batch = loss_chunk, micro_batch
        hidden: Callable[[Tensor], Tensor] = model.hidden
        self._hidden = torch.compile(hidden, dynamic=False) if compiled else hidden

    def __call__(self, inputs_BT: Tensor, targets_BT: Tensor) -> float:
        """The mean loss in nats a counted target (those >= 0); the gradients are of that mean."""
        counted = max(1, int((targets_BT >= 0).sum()))
        loss = 0.0
        for first in range(0, len(inputs_BT), self._micro_batch):
            rows = slice(first, first + self._micro_batch)
            part = self._loss(inputs_BT[rows], targets_BT[rows]) / counted
            part.backward()  # type: ignore[no-untyped-call]
            loss += float(part.detach())
        return loss

    def _loss(self, inputs_BT: Tensor, targets_BT: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self._low):
            hidden_BTD = self._hidden(inputs_BT)
        hidden_ND = hidden_BTD.flatten(0, 1).to(torch.bfloat16 if self._low else torch.float32)
        return head_loss(
            hidden_ND, self._model.head_weight, targets_BT.flatten(), chunk=self._loss_chunk, compiled=self._compiled
        )
