"""StarCoder 2 in PyTorch, the whole architecture on one page; the truth that the native engine is tested against.

Attribute names are the published tensor names, so that `state_dict()` needs no map. Pre-norm blocks, grouped-query
attention with rotary positions and a causal sliding window on every layer, LayerNorm with bias, a plain MLP with
tanh-GELU, biases on every linear, a head that is the embedding unless the configuration unties it. No dropout.
Source: arXiv 2402.19173 and the published configurations; tested against `transformers`.
Knows nothing of files (see `directory`, `gguf_file`), tokens or training.

Shapes in names:  B batch   T new positions   S all positions so far   C hidden size   H query heads
                  G key-value heads   D head dimension   F intermediate size   V vocabulary
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from starloom.contract import Contract
from starloom.core.errors import InputError
from starloom.model import directory, gguf_file
from starloom.model.cache import KVCache
from starloom.model.config import StarCoder2Config
from starloom.model.presets import preset


def rope_tables(start: int, count: int, config: StarCoder2Config, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines, each [count, D/2] in float32, for the positions from `start` on.

    Computed from the configuration at each pass (a few thousand numbers), not kept as buffers: a buffer would follow the
    model to bfloat16, where neighbouring positions become equal.
    """
    exponents = torch.arange(0, config.head_dim, 2, dtype=torch.float32, device=device) / config.head_dim
    positions = torch.arange(start, start + count, dtype=torch.float32, device=device)
    angles = positions[:, None] * (1.0 / config.rope_theta**exponents)
    return angles.cos(), angles.sin()


def rotate(x_BHTD: Tensor, cos_TD2: Tensor, sin_TD2: Tensor) -> Tensor:
    """Turn each pair (x[i], x[i + D/2]) by its position's angle (the NeoX layout), in float32; the dtype stays."""
    first, second = x_BHTD.float().chunk(2, dim=-1)
    turned = torch.cat((first * cos_TD2 - second * sin_TD2, second * cos_TD2 + first * sin_TD2), dim=-1)
    return turned.to(x_BHTD.dtype)


def attend(q_BHTD: Tensor, k_BGSD: Tensor, v_BGSD: Tensor, window: int | None) -> Tensor:
    """Causal attention of the last T of S positions; a query sees the `window` newest keys, its own included.

    Compiled training has a way of its own: see `_attend_in_tiles`.
    """
    num_queries, num_keys = q_BHTD.shape[2], k_BGSD.shape[2]
    if torch.compiler.is_compiling() and num_queries == num_keys:
        return _attend_in_tiles(q_BHTD, k_BGSD, v_BGSD, window or num_keys)
    if num_queries == num_keys and (window is None or num_keys <= window):
        return F.scaled_dot_product_attention(q_BHTD, k_BGSD, v_BGSD, is_causal=True, enable_gqa=True)
    if num_queries == 1:
        first = 0 if window is None else max(0, num_keys - window)
        return F.scaled_dot_product_attention(q_BHTD, k_BGSD[:, :, first:], v_BGSD[:, :, first:], enable_gqa=True)
    return _attend_in_blocks(q_BHTD, k_BGSD, v_BGSD, window or num_keys)


def _attend_in_blocks(q_BHTD: Tensor, k_BGSD: Tensor, v_BGSD: Tensor, window: int) -> Tensor:
    """As `attend`, with a band mask; blocks of `window` queries keep the mask at `window` x 2 `window`."""
    num_queries, num_keys = q_BHTD.shape[2], k_BGSD.shape[2]
    past = num_keys - num_queries
    blocks = []
    for start in range(0, num_queries, window):
        stop = min(start + window, num_queries)
        first, last = max(0, past + start - window + 1), past + stop
        query = torch.arange(past + start, last, device=q_BHTD.device)[:, None]
        key = torch.arange(first, last, device=q_BHTD.device)[None, :]
        seen = (key <= query) & (key > query - window)
        keys, values = k_BGSD[:, :, first:last], v_BGSD[:, :, first:last]
        blocks.append(F.scaled_dot_product_attention(q_BHTD[:, :, start:stop], keys, values, attn_mask=seen, enable_gqa=True))
    return torch.cat(blocks, dim=2)


TILE = 128


def _attend_in_tiles(q_BHTD: Tensor, k_BGSD: Tensor, v_BGSD: Tensor, window: int) -> Tensor:
    """As `attend`, by plain matrix products over tiles of queries and only the keys that they can see.

    With the softmax fused by `torch.compile` this takes about half the time of PyTorch's CPU flash kernel in bfloat16,
    forward and backward (`benchmarks/train_attention.py`); all query heads of a group share one product.
    """
    num_batch, _, num_queries, depth = q_BHTD.shape
    num_groups = k_BGSD.shape[1]
    tiles = []
    for start in range(0, num_queries, TILE):
        stop = min(start + TILE, num_queries)
        first = max(0, start - window + 1)
        query = torch.arange(start, stop, device=q_BHTD.device)[:, None]
        key = torch.arange(first, stop, device=q_BHTD.device)[None, :]
        hidden = (key > query) | (key <= query - window)
        q_NRD = q_BHTD[:, :, start:stop].reshape(num_batch * num_groups, -1, depth)
        k_NSD = k_BGSD[:, :, first:stop].reshape(num_batch * num_groups, -1, depth)
        v_NSD = v_BGSD[:, :, first:stop].reshape(num_batch * num_groups, -1, depth)
        scores_NHTS = (
            torch.bmm(q_NRD, k_NSD.transpose(1, 2)).view(len(q_NRD), -1, stop - start, stop - first).float() * depth**-0.5
        )
        weights_NHTS = scores_NHTS.masked_fill(hidden, float("-inf")).softmax(-1).to(v_NSD.dtype)
        tiles.append(torch.bmm(weights_NHTS.flatten(1, 2), v_NSD).view(num_batch, -1, stop - start, depth))
    return torch.cat(tiles, dim=2)


class Attention(nn.Module):
    """Grouped-query attention: H query heads share G key-value heads, H/G neighbours each."""

    def __init__(self, config: StarCoder2Config, layer: int) -> None:
        super().__init__()
        hidden, groups, bias = config.hidden_size, config.num_key_value_heads * config.head_dim, config.use_bias
        self.q_proj = nn.Linear(hidden, hidden, bias=bias)
        self.k_proj = nn.Linear(hidden, groups, bias=bias)
        self.v_proj = nn.Linear(hidden, groups, bias=bias)
        self.o_proj = nn.Linear(hidden, hidden, bias=bias)
        self.layer, self.head_dim, self.window = layer, config.head_dim, config.sliding_window

    def forward(self, x_BTC: Tensor, rope: tuple[Tensor, Tensor], cache: KVCache | None) -> Tensor:
        """[B, T, C] -> [B, T, C]."""
        q_BHTD = rotate(self._heads(self.q_proj(x_BTC)), *rope)
        k_BGSD = rotate(self._heads(self.k_proj(x_BTC)), *rope)
        v_BGSD = self._heads(self.v_proj(x_BTC))
        if cache is not None:
            k_BGSD, v_BGSD = cache.extend(self.layer, k_BGSD, v_BGSD)
        y_BHTD = attend(q_BHTD, k_BGSD, v_BGSD, self.window)
        y_BTC: Tensor = self.o_proj(y_BHTD.transpose(1, 2).flatten(2))
        return y_BTC

    def _heads(self, x_BTC: Tensor) -> Tensor:
        return x_BTC.view(*x_BTC.shape[:2], -1, self.head_dim).transpose(1, 2)


def gelu_tanh(x: Tensor) -> Tensor:
    """GELU by its tanh approximation. Compiled training writes it as x * sigmoid(2u), the same by tanh's definition, since the
    compiler's exponential is cheaper than its tanh on CPUs (`docs/log.md`).
    """
    if not torch.compiler.is_compiling():
        return F.gelu(x, approximate="tanh")
    y = x.float()
    return (y * torch.sigmoid(math.sqrt(8 / math.pi) * (y + 0.044715 * y * y * y))).to(x.dtype)


class MLP(nn.Module):
    """Two matrices with a tanh-GELU between them, no gate."""

    def __init__(self, config: StarCoder2Config) -> None:
        super().__init__()
        self.c_fc = nn.Linear(config.hidden_size, config.intermediate_size, bias=config.use_bias)
        self.c_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=config.use_bias)

    def forward(self, x_BTC: Tensor) -> Tensor:
        """[B, T, C] -> [B, T, C]."""
        x_BTF = gelu_tanh(self.c_fc(x_BTC))
        y_BTC: Tensor = self.c_proj(x_BTF)
        return y_BTC


class Layer(nn.Module):
    """One pre-norm block: attention, then MLP, each added to its input."""

    def __init__(self, config: StarCoder2Config, layer: int) -> None:
        super().__init__()
        self.input_layernorm = nn.LayerNorm(config.hidden_size, eps=config.norm_epsilon)
        self.self_attn = Attention(config, layer)
        self.post_attention_layernorm = nn.LayerNorm(config.hidden_size, eps=config.norm_epsilon)
        self.mlp = MLP(config)

    def forward(self, x_BTC: Tensor, rope: tuple[Tensor, Tensor], cache: KVCache | None) -> Tensor:
        """[B, T, C] -> [B, T, C]."""
        x_BTC = x_BTC + self.self_attn(self.input_layernorm(x_BTC), rope, cache)
        y_BTC: Tensor = x_BTC + self.mlp(self.post_attention_layernorm(x_BTC))
        return y_BTC


class Decoder(nn.Module):
    """Embedding, layers and the last norm: everything under `model.` in the published names."""

    def __init__(self, config: StarCoder2Config) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config, layer) for layer in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.norm_epsilon)


class StarCoder2(nn.Module):
    """The language model: ids [B, T] to logits [B, T, V].

    Built on the default device; under `with torch.device("meta")` it holds shapes alone. `seed` makes the random
    weights the same on every run.
    """

    def __init__(self, config: StarCoder2Config, *, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        device = torch.get_default_device()
        with torch.device("meta"):
            self.model = Decoder(config)
            self.lm_head = None if config.tie_word_embeddings else nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        if device.type != "meta":
            self.to_empty(device=device)
            self.initialise(seed)

    @classmethod
    def from_preset(cls, name: str, *, seed: int = 0, **overrides: Any) -> StarCoder2:
        """A model with random weights from `presets`, some fields replaced. Raises `SettingsError`."""
        return cls(preset(name, **overrides), seed=seed)

    @classmethod
    def open(cls, path: str | os.PathLike[str], dtype: torch.dtype | None = None) -> StarCoder2:
        """Open a Hugging Face directory or a GGUF file; `dtype` None keeps a directory's own (GGUF becomes float32).

        Raises `InputError` when there is none, `FormatError` when it is damaged, `SettingsError` for its config.
        """
        path = Path(path)
        source = gguf_file.GgufModel(path) if path.is_file() else directory.ModelDirectory(path)
        with torch.device("meta"):
            model = cls(source.config)
        model.load_state_dict(source.tensors(model.shapes(), dtype), assign=True)
        return model

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        contract: Contract | None = None,
        dtype: torch.dtype | None = None,
        shard_bytes: int = directory.SHARD_BYTES,
        replace: bool = False,
    ) -> None:
        """Write a Hugging Face directory in one step, the contract's files beside the weights; see `directory.save_model`."""
        directory.save_model(
            self.config,
            self.state_dict(),
            Path(path),
            contract=contract,
            dtype=dtype,
            shard_bytes=shard_bytes,
            replace=replace,
        )

    def save_gguf(self, path: str | os.PathLike[str], contract: Contract, quantization: str = "q8_0") -> None:
        """Write one GGUF file with tokenizer and contract in it; `quantization` is "f32", "f16", "bf16" or "q8_0"."""
        gguf_file.write_gguf(self.config, self.state_dict(), contract, Path(path), quantization)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every tensor's published name and shape."""
        return {name: tuple(tensor.shape) for name, tensor in self.state_dict().items()}

    @torch.no_grad()
    def initialise(self, seed: int) -> None:
        """Random weights as published: matrices normal with `initializer_range`, biases 0, norms 1."""
        generator = torch.Generator(self.head_weight.device).manual_seed(seed)
        for name, tensor in self.named_parameters():
            if tensor.dim() == 2:
                tensor.normal_(0.0, self.config.initializer_range, generator=generator)
            else:
                tensor.fill_(0.0 if name.endswith("bias") else 1.0)

    @property
    def head_weight(self) -> Tensor:
        """The matrix [V, C] that turns hidden states into logits: the embedding, or the untied head."""
        return self.model.embed_tokens.weight if self.lm_head is None else self.lm_head.weight

    def hidden(self, ids_BT: Tensor, cache: KVCache | None = None) -> Tensor:
        """The states [B, T, C] after the last norm. With a cache, `ids_BT` continue what it holds.

        Raises `InputError` beyond `max_position_embeddings`.
        """
        start, count = 0 if cache is None else cache.length, ids_BT.shape[1]
        if start + count > self.config.max_position_embeddings:
            raise InputError(
                f"{start + count} tokens are too long: the model has {self.config.max_position_embeddings} positions"
            )
        rope = rope_tables(start, count, self.config, ids_BT.device)
        x_BTC: Tensor = self.model.embed_tokens(ids_BT)
        for layer in self.model.layers:
            x_BTC = layer(x_BTC, rope, cache)
        if cache is not None:
            cache.advance(count)
        y_BTC: Tensor = self.model.norm(x_BTC)
        return y_BTC

    def forward(self, ids_BT: Tensor, cache: KVCache | None = None) -> Tensor:
        """Logits [B, T, V] of the next token at each position."""
        return F.linear(self.hidden(ids_BT, cache), self.head_weight)
