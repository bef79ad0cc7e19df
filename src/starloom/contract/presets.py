"""Named configurations: the three published sizes, and small ones for two cores.

Sources of the published sizes: config.json of bigcode/starcoder2-3b, -7b, -15b. The 3B base of RoPE is exp(13.81551),
that is 1e6 rounded on the way through a logarithm. The published files say dropout 0.1, but training had none: 0 here.
"""

from __future__ import annotations

from typing import Any

from starloom.contract.model_config import StarCoder2Config
from starloom.core import settings
from starloom.core.errors import SettingsError


def _published(layers: int, heads: int, groups: int, **rest: Any) -> StarCoder2Config:
    hidden = 128 * heads
    return StarCoder2Config(
        vocab_size=49152,
        hidden_size=hidden,
        intermediate_size=4 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        max_position_embeddings=16384,
        sliding_window=4096,
        **rest,
    )


def _small(
    layers: int, hidden: int, heads: int, groups: int, *, vocab_size: int = 8192, positions: int = 2048
) -> StarCoder2Config:
    """A window as long as the context, so that programs without windows (llama.cpp) agree to the last position."""
    return StarCoder2Config(
        vocab_size=vocab_size,
        hidden_size=hidden,
        intermediate_size=4 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        max_position_embeddings=positions,
        sliding_window=positions,
        rope_theta=1e4,
        initializer_range=0.02,
    )


PRESETS: dict[str, StarCoder2Config] = {
    "3b": _published(30, 24, 2, rope_theta=999999.4420358813),
    "7b": _published(32, 36, 4, rope_theta=1e6),
    "15b": _published(40, 48, 4, rope_theta=1e5, initializer_range=0.01275, tie_word_embeddings=False),
    "debug": _small(2, 64, 2, 1, vocab_size=512, positions=256),
    "5m": _small(6, 256, 4, 2),
    "10m": _small(8, 320, 5, 1),
    "20m": _small(10, 384, 6, 2),
}


def preset(name: str, **overrides: Any) -> StarCoder2Config:
    """The configuration `name` with some fields replaced. Raises `SettingsError` for unknown names."""
    if name not in PRESETS:
        raise SettingsError(f"there is no preset '{name}'; known are {', '.join(PRESETS)}")
    return settings.from_mapping(StarCoder2Config, settings.to_mapping(PRESETS[name]) | overrides)
