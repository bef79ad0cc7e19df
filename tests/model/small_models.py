"""Small models in the proportions of the three published sizes, with biases that are not zero."""

from __future__ import annotations

import torch

from starloom.model import StarCoder2, StarCoder2Config
from starloom.model.presets import preset

WINDOW, LENGTH = 16, 50


def scaled_down(size: str) -> StarCoder2Config:
    """The heads, thetas and ties of a published size with 8 numbers a head, 2 layers and a window of 16."""
    hidden = 8 * preset(size).num_attention_heads
    return preset(
        size,
        vocab_size=320,
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=2,
        sliding_window=WINDOW,
        max_position_embeddings=128,
    )


def random_model(config: StarCoder2Config, seed: int = 1) -> StarCoder2:
    """Every tensor random and large enough to matter: an ignored bias or norm changes the logits."""
    model = StarCoder2(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.normal_(0.0, 0.15, generator=generator)
    return model


def some_ids(config: StarCoder2Config, *, length: int = LENGTH, batch: int = 2) -> torch.Tensor:
    return torch.randint(0, config.vocab_size, (batch, length), generator=torch.Generator().manual_seed(2))
