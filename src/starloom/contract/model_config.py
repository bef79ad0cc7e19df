"""The configuration of a StarCoder 2 model; field names are the keys of the published config.json.

Reads what the three published models carry (legacy extras included) and what `transformers` 4 and 5 write, and writes
what both read. Every other key is an error that names it: a key that we do not know may change the computation.
Both halves of the house need it, PyTorch to train and the engine to complete. Deliberately knows nothing of tensors; sources:
the config.json of bigcode/starcoder2-3b, -7b and -15b.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from starloom.core import settings
from starloom.core.errors import SettingsError

_ARCHITECTURE = "Starcoder2ForCausalLM"
_MODEL_TYPE = "starcoder2"

_NOT_OURS = frozenset(
    {
        # what `transformers` keeps for itself; nothing of it changes the logits
        *("_attn_implementation_autoset", "_name_or_path", "dtype", "pad_token_id", "torch_dtype"),
        *("transformers_version", "use_cache"),
        # left over from older code in the published files, read by no implementation
        *("activation_function", "attention_softmax_in_fp32", "layer_norm_epsilon", "rms_norm_eps"),
        *("scale_attention_softmax_in_fp32", "scale_attn_weights"),
    }
)
_ONLY_VALUES: dict[str, tuple[Any, ...]] = {
    "architectures": ([_ARCHITECTURE], None),
    "mlp_type": ("default",),
    "model_type": (_MODEL_TYPE,),
    "norm_type": ("layer_norm",),
    "rope_scaling": (None,),
}
_ALWAYS_WRITTEN_BY_OTHERS = ("bos_token_id", "eos_token_id", "max_position_embeddings", "norm_epsilon")

_LARGEST = {  # far above any published size; a damaged file must not make us fill the memory or count for ever
    "vocab_size": 1 << 24,
    "hidden_size": 1 << 16,
    "intermediate_size": 1 << 20,
    "num_hidden_layers": 1 << 10,
    "num_attention_heads": 1 << 12,
    "num_key_value_heads": 1 << 12,
    "max_position_embeddings": 1 << 24,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class StarCoder2Config:
    """Sizes and constants of one model. Raises `SettingsError` for values that fit no model.

    `sliding_window` counts the keys that a query sees, itself included; None is full causal attention.
    The three dropouts are kept for the file alone: our model has none, as in the published pre-training.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    max_position_embeddings: int
    sliding_window: int | None
    rope_theta: float
    hidden_act: str = "gelu_pytorch_tanh"
    initializer_range: float = 0.018042
    norm_epsilon: float = 1e-5
    use_bias: bool = True
    tie_word_embeddings: bool = True
    bos_token_id: int = 0
    eos_token_id: int = 0
    attention_dropout: float = 0.0
    residual_dropout: float = 0.0
    embedding_dropout: float = 0.0

    def __post_init__(self) -> None:
        for name, largest in _LARGEST.items():
            _check(1 <= getattr(self, name) <= largest, name, getattr(self, name), f"a whole number from 1 to {largest}")
        self._check_heads()
        window = self.sliding_window
        _check(window is None or window >= 1, "sliding_window", window, "null or at least 1")
        _check(self.hidden_act == "gelu_pytorch_tanh", "hidden_act", self.hidden_act, "'gelu_pytorch_tanh'")
        for name in ("norm_epsilon", "rope_theta"):
            value = getattr(self, name)
            _check(math.isfinite(value) and value > 0, name, value, "a number above 0")
        _check(0 <= self.initializer_range < math.inf, "initializer_range", self.initializer_range, "a number from 0 on")
        for name in ("bos_token_id", "eos_token_id"):
            _check(0 <= getattr(self, name) < self.vocab_size, name, getattr(self, name), f"an id below {self.vocab_size}")
        for name in ("attention_dropout", "residual_dropout", "embedding_dropout"):
            _check(0 <= getattr(self, name) < 1, name, getattr(self, name), "a number from 0 to below 1")

    def _check_heads(self) -> None:
        heads, groups = self.num_attention_heads, self.num_key_value_heads
        _check(self.hidden_size % heads == 0, "num_attention_heads", heads, f"a divisor of hidden_size {self.hidden_size}")
        _check(self.head_dim % 2 == 0, "num_attention_heads", heads, f"such that {self.hidden_size} / {heads} is even (RoPE)")
        _check(heads % groups == 0, "num_key_value_heads", groups, f"a divisor of num_attention_heads {heads}")

    @property
    def head_dim(self) -> int:
        """The length of one head's query, key and value vectors."""
        return self.hidden_size // self.num_attention_heads

    @property
    def num_parameters(self) -> int:
        """All weights and biases; a tied head counts once."""
        hidden, inner, groups = self.hidden_size, self.intermediate_size, self.num_key_value_heads * self.head_dim
        biases = 2 * hidden + 2 * groups + inner + hidden if self.use_bias else 0
        layer = 2 * hidden * (hidden + groups + inner) + biases + 4 * hidden
        heads = 1 if self.tie_word_embeddings else 2
        return self.num_hidden_layers * layer + heads * self.vocab_size * hidden + 2 * hidden

    @classmethod
    def from_json_dict(cls, values: Mapping[str, Any]) -> StarCoder2Config:
        """Read a parsed config.json. Raises `SettingsError` that names the key that is unknown, missing or wrong."""
        if "model_type" not in values:
            raise SettingsError("'model_type' is missing: this is not the config.json of a model")
        for name, allowed in _ONLY_VALUES.items():
            if name in values and values[name] not in allowed:
                raise SettingsError(f"'{name}' is {values[name]!r}; only {allowed[0]!r} is implemented")
        rest = {key: value for key, value in values.items() if key not in _NOT_OURS and key not in _ONLY_VALUES}
        head_dim = rest.pop("head_dim", None)
        rest |= _rope_theta(rest)
        for name in _ALWAYS_WRITTEN_BY_OTHERS:
            if rest.get(name) is None:
                raise SettingsError(f"'{name}' is missing: add it, its default differs between programs")
        config = settings.from_mapping(cls, rest)
        _check(head_dim in (None, config.head_dim), "head_dim", head_dim, f"null or {config.head_dim}")
        return config

    def to_json_dict(self) -> dict[str, Any]:
        """All fields, with both spellings of the RoPE base, so that `transformers` 4 and 5 read them alike."""
        fields = dataclasses.asdict(self)
        rope = {"rope_type": "default", "rope_theta": self.rope_theta}
        return {"architectures": [_ARCHITECTURE], "model_type": _MODEL_TYPE, **fields, "rope_parameters": rope, "use_cache": True}


def _check(good: bool, name: str, value: Any, wanted: str) -> None:
    if not good:
        raise SettingsError(f"'{name}' is {value!r}; it must be {wanted}")


def _rope_theta(values: dict[str, Any]) -> dict[str, Any]:
    """Take `rope_parameters` out of `values`; what it says of `rope_theta`. Raises `SettingsError` for scaled RoPE."""
    parameters = values.pop("rope_parameters", None)
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise SettingsError(f"'rope_parameters' is {parameters!r}; it must be a table with rope_type and rope_theta")
    if unknown := sorted(parameters.keys() - {"rope_type", "rope_theta"}):
        raise SettingsError(f"unknown setting 'rope_parameters.{unknown[0]}'; known are rope_theta, rope_type")
    if parameters.get("rope_type", "default") != "default":
        raise SettingsError(f"'rope_parameters.rope_type' is {parameters['rope_type']!r}; only 'default' is implemented")
    inner, outer = parameters.get("rope_theta"), values.get("rope_theta")
    if inner is not None and outer is not None and inner != outer:
        raise SettingsError(f"'rope_theta' is {outer!r} but 'rope_parameters.rope_theta' is {inner!r}: remove the wrong one")
    return {} if inner is None else {"rope_theta": inner}
