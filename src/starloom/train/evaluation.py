"""How good a model is on held-out shards, in bits per byte: as plain text, and for the middles alone in either order.

Bits per byte do not depend on the vocabulary, so models with different tokenizers can be compared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from starloom.contract.contract import Contract
from starloom.contract.layouts import Order
from starloom.contract.shards import Shards
from starloom.model.starcoder2 import StarCoder2
from starloom.train.cuts import cut

_BATCH = 8


@dataclass(frozen=True)
class HeldOut:
    """Bits per byte: `plain` over whole windows, `psm` and `spm` over middles that run to the end of a line."""

    plain: float
    psm: float
    spm: float


@dataclass(frozen=True)
class _Example:
    """Ids, and from which place on they count."""

    ids: list[int]
    first: int


class Evaluation:
    """A fixed set of windows, spread evenly over the held-out shards."""

    def __init__(self, shards: Shards, contract: Contract, *, sequence: int, windows: int) -> None:
        self._contract = contract
        self._num_bytes = np.array([len(text) for text in contract.tokenizer.token_bytes])
        windows = max(1, min(windows, (len(shards) - 1) // sequence))
        stride = max(1, (len(shards) - sequence - 1) // windows)
        texts = [shards.read(place * stride, min(sequence + 1, len(shards))).tolist() for place in range(windows)]
        self._plain = [_Example(ids, 1) for ids in texts]
        orders: tuple[Order, ...] = ("psm", "spm")
        self._fill_in = {order: [self._middle(ids, order, row) for row, ids in enumerate(texts)] for order in orders}

    def _middle(self, ids: list[int], order: Order, row: int) -> _Example:
        text = self._contract.tokenizer.decode_bytes(ids[: len(ids) - 16])
        first, last = cut(text, "line_end", np.random.default_rng((20240229, row)))
        sequence = self._contract.fill_in_ids(text[:first], text[first:last], text[last:], order=order)
        middle = self._contract.tokenizer.encode(text[first:last])
        return _Example(sequence, len(sequence) - len(middle))

    def of(self, model: StarCoder2) -> HeldOut:
        """Evaluate `model`; leaves its mode as it was."""
        training = model.training
        model.eval()
        with torch.inference_mode():
            plain, psm, spm = (self._bits(model, examples) for examples in (self._plain, *self._fill_in.values()))
        model.train(training)
        return HeldOut(plain, psm, spm)

    def _bits(self, model: StarCoder2, examples: list[_Example]) -> float:
        nats, num_bytes = 0.0, 0
        for first in range(0, len(examples), _BATCH):
            group = examples[first : first + _BATCH]
            nats += float(_nats(model, group))
            num_bytes += sum(int(self._num_bytes[example.ids[example.first :]].sum()) for example in group)
        return nats / math.log(2) / max(1, num_bytes)


def _nats(model: StarCoder2, group: list[_Example]) -> Tensor:
    longest = max(len(example.ids) for example in group)
    ids_BT = torch.zeros(len(group), longest, dtype=torch.int64)
    targets_BT = torch.full((len(group), longest), -100)
    for row, example in enumerate(group):
        ids_BT[row, : len(example.ids)] = torch.tensor(example.ids)
        targets_BT[row, example.first : len(example.ids)] = torch.tensor(example.ids[example.first :])
    logits_BTV = model(ids_BT[:, :-1])
    return functional.cross_entropy(logits_BTV.flatten(0, 1).float(), targets_BT[:, 1:].flatten(), reduction="sum")
