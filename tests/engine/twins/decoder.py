"""A whole StarCoder 2 decoder in numpy: every layer for every position of one sequence, no cache.

Weights are float arrays by the names of packed files (`layers.0.qkv`, `layers.0.qkv.bias`, ...).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from twins.attention import attend, rotate
from twins.norm import layer_norm

Array = npt.NDArray[np.floating[Any]]


class Config(Protocol):
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    sliding_window: int | None
    rope_theta: float
    norm_epsilon: float


def gelu_tanh(x: Array) -> Array:
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def logits(ids: npt.ArrayLike, config: Config, weights: Mapping[str, Array]) -> Array:
    """[T] -> [T, vocabulary], in float64."""
    w = {name: np.asarray(values, np.float64) for name, values in weights.items()}
    heads, groups, dim = config.num_attention_heads, config.num_key_value_heads, config.head_dim

    def norm(x: Array, name: str) -> Array:
        return layer_norm(x, w[f"{name}.weight"], w[f"{name}.bias"], config.norm_epsilon)

    def linear(x: Array, name: str) -> Array:
        return x @ w[name].T + w[f"{name}.bias"]

    x = w["embedding"][np.asarray(ids)]
    for layer in (f"layers.{i}" for i in range(config.num_hidden_layers)):
        qkv = linear(norm(x, f"{layer}.input_norm"), f"{layer}.qkv").reshape(len(x), heads + 2 * groups, dim)
        q = rotate(qkv[:, :heads], 0, config.rope_theta)
        k = rotate(qkv[:, heads : heads + groups], 0, config.rope_theta)
        y = attend(q, k, qkv[:, heads + groups :], config.sliding_window or 0)
        x = x + linear(y.reshape(len(x), heads * dim), f"{layer}.o")
        x = x + linear(gelu_tanh(linear(norm(x, f"{layer}.post_norm"), f"{layer}.fc")), f"{layer}.proj")
    return norm(x, "norm") @ w.get("head", w["embedding"]).T
