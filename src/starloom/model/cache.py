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
    """Room for `capacity` positions of `batch` sequences; `length` positions are filled.

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
        shape = (config.num_hidden_layers, 2, batch, config.num_key_value_heads, capacity, config.head_dim)
        self._buffer = torch.zeros(shape, dtype=dtype, device=device)
        self.capacity = capacity
        self.length = 0

    def extend(self, layer: int, k_BGTD: Tensor, v_BGTD: Tensor) -> tuple[Tensor, Tensor]:
        """Put T new positions behind the `length` known ones of a layer; all keys and values so far, [B, G, length+T, D].

        Raises `InputError` when they do not fit. `length` moves on only with `advance`, after the last layer.
        """
        end = self.length + k_BGTD.shape[2]
        if end > self.capacity:
            raise InputError(f"{end} positions do not fit into a KV cache of {self.capacity}")
        k_BGSD, v_BGSD = self._buffer[layer]
        k_BGSD[:, :, self.length : end] = k_BGTD
        v_BGSD[:, :, self.length : end] = v_BGTD
        return k_BGSD[:, :, :end], v_BGSD[:, :, :end]

    def advance(self, count: int) -> None:
        """Count `count` new positions as known."""
        self.length += count
