"""Small random models, packed, and the PyTorch model with the very weights that a packed one has."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch

from starloom.engine.layouts import Kind
from starloom.engine.packed import PackedModel, pack_in_memory
from starloom.engine.sources import open_source
from starloom.model import StarCoder2, StarCoder2Config
from starloom.model.directory import save_model
from starloom.model.presets import preset

WINDOW = 40


def small_config(**changes: object) -> StarCoder2Config:
    """Two key-value heads of two query heads, a window that texts of 100 ids pass, a vocabulary that is no multiple of 16."""
    sizes = {"vocab_size": 301, "hidden_size": 128, "intermediate_size": 320, "num_attention_heads": 4, "num_key_value_heads": 2}
    return preset("debug", **{**sizes, "num_hidden_layers": 3, "sliding_window": WINDOW, **changes})


def random_model(config: StarCoder2Config, seed: int = 1) -> StarCoder2:
    """Every tensor random and large enough to matter: an ignored bias or norm changes the logits."""
    model = StarCoder2(config).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            tensor.normal_(1.0 if "norm.weight" in name else 0.0, 0.1, generator=generator)
    return model


def packed(model: StarCoder2, quant: Kind) -> PackedModel:
    """As if it came from the directory that `model` saves."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        save_model(model.config, model.state_dict(), path)
        return pack_in_memory(open_source(path), quant)


def weights_of(model: PackedModel) -> dict[str, np.ndarray]:
    """All tensors as float32, by packed name; without the zero rows of padding."""
    return {name: model.floats(name) for name in model.tensors}


def with_weights_of(model: PackedModel) -> StarCoder2:
    """The PyTorch model with the values that `model` holds after rounding."""
    config = model.config
    w = {name: torch.from_numpy(np.array(values)) for name, values in weights_of(model).items()}
    state = {
        "model.embed_tokens.weight": w["embedding"],
        "model.norm.weight": w["norm.weight"],
        "model.norm.bias": w["norm.bias"],
    }
    if "head" in w:
        state["lm_head.weight"] = w["head"]
    groups = config.num_key_value_heads * config.head_dim
    for i in range(config.num_hidden_layers):
        ours, theirs = f"layers.{i}", f"model.layers.{i}"
        for end, suffix in (("weight", ""), ("bias", ".bias")):
            split = torch.split(w[f"{ours}.qkv{suffix}"], [config.hidden_size, groups, groups])
            state |= {f"{theirs}.self_attn.{part}_proj.{end}": piece for part, piece in zip("qkv", split, strict=True)}
            state[f"{theirs}.self_attn.o_proj.{end}"] = w[f"{ours}.o{suffix}"]
            state[f"{theirs}.mlp.c_fc.{end}"] = w[f"{ours}.fc{suffix}"]
            state[f"{theirs}.mlp.c_proj.{end}"] = w[f"{ours}.proj{suffix}"]
            state[f"{theirs}.input_layernorm.{end}"] = w[f"{ours}.input_norm.{end}"]
            state[f"{theirs}.post_attention_layernorm.{end}"] = w[f"{ours}.post_norm.{end}"]
    twin = StarCoder2(config).eval()
    twin.load_state_dict(state)
    return twin
