"""What arrives at each matrix when a model reads real text: a plain numpy forward pass that keeps the inputs' moments.

Layer by layer over all texts, so that one layer's weights are held at a time and whoever rounds a layer can do it then. Exact
and unhurried; the engine proper has its own kernels. Knows nothing of files and of rounding.

Shapes in names:  B texts   T tokens of a text   C hidden size   H query heads   G key-value heads   D head dimension   K inputs
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from starloom.contract.model_config import StarCoder2Config
from starloom.contract.model_tensors import EMBEDDING, HEAD
from starloom.engine.layouts import F32
from starloom.engine.sources import Source

SPAN = 2048
"""Inputs whose products are kept together; those of inputs further apart are left out, which bounds memory and time."""


class Moments:
    """Sums over all inputs [tokens, K] that a matrix saw, of their products: squares of `SPAN` along the diagonal of [K, K]."""

    def __init__(self, columns: int) -> None:
        self.starts = range(0, columns, SPAN)
        self.products = [np.zeros((width := min(SPAN, columns - start), width), np.float32) for start in self.starts]

    def add(self, x_TK: F32) -> None:
        """Add the inputs of some tokens."""
        for start, products in zip(self.starts, self.products, strict=True):
            part = x_TK[:, start : start + len(products)]
            products += part.T @ part


def moments_by_layer(source: Source, texts: Sequence[Sequence[int]]) -> Iterator[tuple[str, dict[str, Moments]]]:
    """Run `texts` (ids) through the model; for each layer its published prefix and the moments by the name of a part in it.

    q, k and v share "self_attn.q_proj". Last comes "", with the moments of the head's inputs at `HEAD`.
    """
    config, weights = source.config, source.tensors
    embedding = weights[EMBEDDING]
    states = [np.concatenate([embedding.rows(token, token + 1).floats() for token in text]) for text in texts]
    for number in range(config.num_hidden_layers):
        layer = _Layer(source, f"model.layers.{number}.")
        for place, x_TC in enumerate(states):
            states[place] = layer(x_TC)
        yield layer.start, layer.moments
    moments = Moments(config.hidden_size)
    norm = weights["model.norm.weight"].floats(), weights["model.norm.bias"].floats()
    for x_TC in states:
        moments.add(layer_norm(x_TC, *norm, config.norm_epsilon))
    yield "", {HEAD: moments}


class _Layer:
    """One layer's weights in float32, and the moments of what its matrices saw."""

    def __init__(self, source: Source, start: str) -> None:
        self.config, self.start = source.config, start
        self.moments: dict[str, Moments] = {}
        self._weights = {name[len(start) :]: stored.floats() for name, stored in source.tensors.items() if name.startswith(start)}

    def __call__(self, x_TC: F32) -> F32:
        """[T, C] -> [T, C]."""
        y_TC = self._norm("input_layernorm", x_TC)
        q, k, v = (self._linear(f"self_attn.{part}_proj", y_TC, seen=part == "q") for part in "qkv")
        x_TC = x_TC + self._linear("self_attn.o_proj", attend(q, k, v, self.config))
        inner = gelu_tanh(self._linear("mlp.c_fc", self._norm("post_attention_layernorm", x_TC)))
        y_TC = x_TC + self._linear("mlp.c_proj", inner)
        return y_TC

    def _norm(self, name: str, x_TC: F32) -> F32:
        return layer_norm(x_TC, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"], self.config.norm_epsilon)

    def _linear(self, name: str, x_TK: F32, *, seen: bool = True) -> F32:
        if seen:
            self.moments.setdefault(name, Moments(x_TK.shape[1])).add(x_TK)
        y: F32 = x_TK @ self._weights[f"{name}.weight"].T
        bias = self._weights.get(f"{name}.bias")
        return y if bias is None else y + bias


def layer_norm(x_TC: F32, weight_C: F32, bias_C: F32, epsilon: float) -> F32:
    """[T, C] -> [T, C]."""
    centred = x_TC - x_TC.mean(axis=-1, keepdims=True)
    y_TC: F32 = centred / np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + np.float32(epsilon)) * weight_C + bias_C
    return y_TC


def gelu_tanh(x: F32) -> F32:
    """GELU by its tanh approximation."""
    y: F32 = np.float32(0.5) * x * (1 + np.tanh(np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x * x * x)))
    return y


def attend(q_TC: F32, k_TC: F32, v_TC: F32, config: StarCoder2Config) -> F32:
    """Causal attention of one text with RoPE and the sliding window: q [T, H D], k and v [T, G D] -> [T, H D]."""
    count, depth, groups = len(q_TC), config.head_dim, config.num_key_value_heads
    rope = _rope(count, config)
    q_GHTD = _rotate(q_TC.reshape(count, groups, -1, depth).transpose(1, 2, 0, 3), rope)
    k_G1SD = _rotate(k_TC.reshape(count, groups, 1, depth).transpose(1, 2, 0, 3), rope)
    v_G1SD = v_TC.reshape(count, groups, 1, depth).transpose(1, 2, 0, 3)
    scores = q_GHTD @ k_G1SD.swapaxes(-1, -2) * np.float32(depth**-0.5)
    behind = np.arange(count)[:, None] - np.arange(count)[None, :]
    scores[..., (behind < 0) | (behind >= (config.sliding_window or count))] = -np.inf
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    y_GHTD = scores / scores.sum(axis=-1, keepdims=True) @ v_G1SD
    y_TC: F32 = y_GHTD.transpose(2, 0, 1, 3).reshape(count, -1)
    return y_TC


def _rope(count: int, config: StarCoder2Config) -> tuple[F32, F32]:
    exponents = np.arange(0, config.head_dim, 2) / config.head_dim
    angles = np.arange(count)[:, None] / config.rope_theta**exponents
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def _rotate(x: F32, rope: tuple[F32, F32]) -> F32:
    cos, sin = rope
    first, second = np.split(x, 2, axis=-1)
    return np.concatenate((first * cos - second * sin, second * cos + first * sin), axis=-1)
