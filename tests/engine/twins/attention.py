"""RoPE and grouped-query attention with a causal sliding window, row by row.

Shapes in names:  T queries   S keys, the queries' own last   H query heads   G key-value heads   D head dimension
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]


def rotate(x_THD: Array, position: int, theta: float) -> Array:
    """Turn each pair (x[i], x[i + D/2]) by its position's angle, which is a float32 number."""
    count, _, dim = x_THD.shape
    exponents = np.arange(0, dim, 2, dtype=np.float32) / np.float32(dim)
    frequencies = np.float32(1) / np.power(float(theta), exponents.astype(np.float64)).astype(np.float32)
    angles = np.arange(position, position + count, dtype=np.float32)[:, None] * frequencies
    cos, sin = np.cos(angles.astype(np.float64))[:, None], np.sin(angles.astype(np.float64))[:, None]
    first, second = x_THD[..., : dim // 2], x_THD[..., dim // 2 :]
    return np.concatenate((first * cos - second * sin, second * cos + first * sin), -1)


def attend(q_THD: Array, k_SGD: Array, v_SGD: Array, window: int) -> Array:
    """[T, H, D]; `window` keys are seen, the query's own among them; 0 for all."""
    num_queries, heads, dim = q_THD.shape
    num_keys, groups, _ = k_SGD.shape
    y_THD = np.zeros(q_THD.shape)
    for t in range(num_queries):
        end = num_keys - num_queries + t + 1
        seen = slice(max(0, end - window) if window else 0, end)
        for h in range(heads):
            group = h // (heads // groups)
            scores = k_SGD[seen, group].astype(np.float64) @ q_THD[t, h] / np.sqrt(dim)
            weights = np.exp(scores - scores.max())
            y_THD[t, h] = weights @ v_SGD[seen, group] / weights.sum()
    return y_THD


def to_bf16(x: Array) -> Array:
    """Rounded to the nearest bfloat16, ties to even, as float32."""
    bits = np.asarray(x, np.float32).view(np.uint32).astype(np.uint64)
    rounded = (bits + 0x7FFF + ((bits >> np.uint64(16)) & np.uint64(1))) >> np.uint64(16) << np.uint64(16)
    return rounded.astype(np.uint32).view(np.float32)
