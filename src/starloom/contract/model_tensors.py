"""The tensors of a StarCoder 2 model: their published names and shapes, and what every reader of weights checks.

Knows no file format and no numbers.
"""

from __future__ import annotations

from collections.abc import Mapping

from starloom.contract.model_config import StarCoder2Config
from starloom.core.errors import FormatError

Shapes = Mapping[str, tuple[int, ...]]

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"


def published_shapes(config: StarCoder2Config) -> dict[str, tuple[int, ...]]:
    """Every tensor of a model by its published name; a tied head has none of its own."""
    hidden, inner, groups = config.hidden_size, config.intermediate_size, config.num_key_value_heads * config.head_dim
    shapes: dict[str, tuple[int, ...]] = {EMBEDDING: (config.vocab_size, hidden)}

    def add(name: str, *shape: int, bias: bool = True) -> None:
        shapes[f"{name}.weight"] = shape
        if bias:
            shapes[f"{name}.bias"] = shape[:1]

    for layer in range(config.num_hidden_layers):
        start = f"model.layers.{layer}"
        add(f"{start}.input_layernorm", hidden)
        for part, rows in (("q", hidden), ("k", groups), ("v", groups), ("o", hidden)):
            add(f"{start}.self_attn.{part}_proj", rows, hidden, bias=config.use_bias)
        add(f"{start}.post_attention_layernorm", hidden)
        add(f"{start}.mlp.c_fc", inner, hidden, bias=config.use_bias)
        add(f"{start}.mlp.c_proj", hidden, inner, bias=config.use_bias)
    add("model.norm", hidden)
    if not config.tie_word_embeddings:
        shapes[HEAD] = (config.vocab_size, hidden)
    return shapes


def check_shapes(found: Shapes, wanted: Shapes, where: object) -> None:
    """Raise `FormatError` that names the tensors of `found` that are missing, of another shape, or too many."""
    if missing := [name for name in wanted if name not in found]:
        raise FormatError(f"{where}: missing {_names(missing)}")
    if extra := [name for name in found if name not in wanted]:
        raise FormatError(f"{where}: {_names(extra)} not part of this model")
    for name, shape in wanted.items():
        if found[name] != shape:
            raise FormatError(f"{where}: tensor '{name}' has the shape {list(found[name])}; its configuration says {list(shape)}")


def _names(names: list[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:3])
    return f"tensor {shown}" if len(names) == 1 else f"{len(names)} tensors ({shown}{', ...' if len(names) > 3 else ''})"
