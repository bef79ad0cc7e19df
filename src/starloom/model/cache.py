"""The keys and values of the positions seen so far, so that each new token costs one step and not the whole text.

Simple on purpose (it is the truth that the native engine is tested against): one buffer per layer for the whole length,
and keys that have left the sliding window stay in it, masked.
"""

from __future__ import annotations

import torch
from torch import Tensor

from starloom.core.errors import InputError
from starloom.model.config import StarCoder2Config


class KVCache:
    """Room for `capacity` positions of `batch` sequences; `length` positions are filled. No gradient passes through it.

    Legend: B batch, G key-value heads, S positions, D head dimension.
    """

    def __init__(
        self,
        config: StarCoder2Config,
        *,
        batch: int,
        capacity: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | None = None,
    ) -> None:
        shape = (config.num_hidden_layers, batch, config.num_key_value_heads, capacity, config.head_dim)
        self._keys = torch.zeros(shape, dtype=dtype, device=device)
        self._values = torch.zeros(shape, dtype=dtype, device=device)
        self.capacity = capacity
        self.length = 0

    def extend(self, layer: int, k_BGTD: Tensor, v_BGTD: Tensor) -> tuple[Tensor, Tensor]:
        """Put T new positions behind the `length` known ones of a layer; all keys and values so far, [B, G, length+T, D].

        Raises `InputError` when they do not fit. `length` moves on only with `advance`, after the last layer.
        """
        end = self.length + k_BGTD.shape[2]
        if end > self.capacity:
            raise InputError(f"{end} positions do not fit into a KV cache of {self.capacity}")
        self._keys[layer, :, :, self.length : end] = k_BGTD.detach()
        self._values[layer, :, :, self.length : end] = v_BGTD.detach()
        return self._keys[layer, :, :, :end], self._values[layer, :, :, :end]

    def advance(self, count: int) -> None:
        """Count `count` new positions as known."""
        self.length += count
