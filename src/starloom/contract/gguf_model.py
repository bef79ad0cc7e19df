"""GGUF of the architecture `starcoder2`: names, metadata and where tensors lie, for every reader and writer of such files.

The only place that knows GGUF's names. Beside the keys that llama.cpp reads, a file of ours holds the exact configuration and
the contract as JSON text; llama.cpp ignores both, and the sliding window too: beyond it, it attends to everything.
Source: llama.cpp's loader of the architecture, the `gguf` package. Knows nothing of what is done with the numbers.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType, LlamaFileType
from numpy.typing import NDArray

from starloom.contract import Contract
from starloom.contract.gguf_vocabulary import CONTRACT_KEY
from starloom.contract.model_config import StarCoder2Config
from starloom.contract.model_tensors import Shapes, check_shapes
from starloom.contract.tokens import END_OF_TEXT, FILE_SEP, FIM_MIDDLE, FIM_PAD, FIM_PREFIX, FIM_SUFFIX, REPO_NAME
from starloom.core.errors import FormatError, MismatchError, SettingsError
from starloom.core.gguf_header import GgufHeader, read_header

ARCHITECTURE = "starcoder2"
CONFIG_KEY = "starloom.config"

_OUTER = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
_INNER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
}
_FIM = {"pre": FIM_PREFIX, "suf": FIM_SUFFIX, "mid": FIM_MIDDLE, "pad": FIM_PAD, "rep": REPO_NAME, "sep": FILE_SEP}


def gguf_name(name: str) -> str:
    """GGUF's name of the tensor with the published name `name`."""
    stem, end = name.rsplit(".", 1)
    if stem in _OUTER:
        return f"{_OUTER[stem]}.{end}"
    _, _, layer, part = stem.split(".", 3)
    return f"blk.{layer}.{_INNER[part]}.{end}"


def _integers(config: StarCoder2Config) -> dict[str, int]:
    return {
        "block_count": config.num_hidden_layers,
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.num_key_value_heads,
        "rope.dimension_count": config.head_dim,
    }


def _floats(config: StarCoder2Config) -> dict[str, float]:
    return {"attention.layer_norm_epsilon": config.norm_epsilon, "rope.freq_base": config.rope_theta}


# --- writing


def add_metadata(writer: gguf.GGUFWriter, config: StarCoder2Config, contract: Contract, file_type: LlamaFileType) -> None:
    """Hand `writer` all that is not a tensor. Raises `MismatchError` when the contract's vocabulary is not the model's."""
    if contract.tokenizer.vocab_size != config.vocab_size:
        raise MismatchError(f"the tokenizer has {contract.tokenizer.vocab_size} tokens, the model {config.vocab_size}")
    _add_config(writer, config, file_type)
    _add_contract(writer, contract)


def _add_config(writer: gguf.GGUFWriter, config: StarCoder2Config, file_type: LlamaFileType) -> None:
    writer.add_file_type(file_type)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    for key, number in _integers(config).items():
        writer.add_uint32(f"{ARCHITECTURE}.{key}", number)
    for key, value in _floats(config).items():
        writer.add_float32(f"{ARCHITECTURE}.{key}", value)
    if config.sliding_window is not None:
        writer.add_sliding_window(config.sliding_window)
    writer.add_string(CONFIG_KEY, json.dumps(config.to_json_dict(), sort_keys=True))


def _add_contract(writer: gguf.GGUFWriter, contract: Contract) -> None:
    tokenizer, special = contract.tokenizer, contract.tokenizer.special_ids
    end, control = special[END_OF_TEXT], frozenset(special.values())
    kinds = [gguf.TokenType.CONTROL if place in control else gguf.TokenType.NORMAL for place in range(tokenizer.vocab_size)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("starcoder")
    writer.add_token_list(list(tokenizer.tokens))
    writer.add_token_types(kinds)
    writer.add_token_merges(tokenizer.merges)
    writer.add_bos_token_id(end)
    writer.add_eos_token_id(end)
    writer.add_unk_token_id(end)
    writer.add_add_bos_token(False)
    for key, text in _FIM.items():
        writer.add_uint32(f"tokenizer.ggml.fim_{key}_token_id", special[text])
    writer.add_string(CONTRACT_KEY, contract.to_json())


# --- reading


@dataclass(frozen=True)
class GgufTensor:
    """A tensor as it is stored: its ggml kind, its shape, and its bytes [rows, bytes of a row] ([bytes] for a vector), mapped."""

    kind: GGMLQuantizationType
    shape: tuple[int, ...]
    data: NDArray[np.uint8]


class GgufFile:
    """A GGUF file opened for reading; `config` is checked at once, tensors are found by `tensors`.

    Raises `InputError` when there is none, `FormatError` when it is damaged or of another architecture.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.header = read_header(path)
        try:
            self.config = _read_config(self.header)
        except (FormatError, SettingsError) as error:
            raise FormatError(f"'{path}': {error}") from error

    def tensors(self, shapes: Shapes) -> dict[str, GgufTensor]:
        """All tensors by published name, which must have the given names and shapes.

        Raises `FormatError` that names the tensor that is missing, extra, mis-shaped, truncated, stored in an unknown way, or
        that shares bytes with another.
        """
        names = {gguf_name(name): name for name in shapes}
        check_shapes({names.get(name, name): entry.shape for name, entry in self.header.tensors.items()}, shapes, self.path)
        found = {name: self._tensor(name) for name in self.header.tensors}
        self._check_apart(found)
        return {names[name]: tensor for name, tensor in found.items()}

    def _tensor(self, name: str) -> GgufTensor:
        entry = self.header.tensors[name]
        try:
            kind = GGMLQuantizationType(entry.kind)
            row = gguf.quant_shape_to_byte_shape(entry.shape, kind)
            data = np.frombuffer(self.header.data, np.uint8, math.prod(row), entry.offset).reshape(row)
        except (ValueError, OverflowError) as error:
            raise FormatError(f"'{self.path}': tensor '{name}' is truncated or stored in an unknown way ({error})") from None
        return GgufTensor(kind, entry.shape, data)

    def _check_apart(self, tensors: dict[str, GgufTensor]) -> None:
        end, before = 0, ""
        for name in sorted(tensors, key=lambda name: self.header.tensors[name].offset):
            if (start := self.header.tensors[name].offset) < end:
                raise FormatError(f"'{self.path}': tensor '{name}' begins at byte {start}, but '{before}' ends at {end}")
            end, before = start + tensors[name].data.nbytes, name


def _read_config(header: GgufHeader) -> StarCoder2Config:
    """The exact configuration that we wrote, checked against the file's other keys, or else what those keys say."""
    if (architecture := header.metadata.get("general.architecture")) != ARCHITECTURE:
        raise FormatError(f"its architecture is {architecture!r}; only '{ARCHITECTURE}' is implemented")
    stated = _stated(header)
    if CONFIG_KEY not in header.metadata:
        return StarCoder2Config.from_json_dict(stated)
    try:
        values = json.loads(header.metadata[CONFIG_KEY])
        config = StarCoder2Config.from_json_dict(values)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(f"its '{CONFIG_KEY}' is no configuration ({error})") from error
    for key in stated.keys() & values.keys():
        if not _same(stated[key], values[key]):
            raise FormatError(f"its '{CONFIG_KEY}' says {key} {values[key]!r}, its other keys {stated[key]!r}")
    return config


def _same(stated: Any, exact: Any) -> bool:
    return stated == exact or (isinstance(exact, float) and isinstance(stated, float) and np.float32(exact) == np.float32(stated))


def _stated(header: GgufHeader) -> dict[str, Any]:
    """What llama.cpp reads from the metadata, as a config.json; without a window it means full attention."""

    def value(key: str) -> Any:
        if key not in header.metadata:
            raise FormatError(f"it lacks the key '{key}'")
        return header.metadata[key]

    def size(key: str) -> Any:
        return value(f"{ARCHITECTURE}.{key}")

    return {
        "model_type": ARCHITECTURE,
        "vocab_size": len(value("tokenizer.ggml.tokens")),
        "hidden_size": size("embedding_length"),
        "intermediate_size": size("feed_forward_length"),
        "num_hidden_layers": size("block_count"),
        "num_attention_heads": size("attention.head_count"),
        "num_key_value_heads": size("attention.head_count_kv"),
        "max_position_embeddings": size("context_length"),
        "norm_epsilon": size("attention.layer_norm_epsilon"),
        "rope_theta": size("rope.freq_base"),
        "sliding_window": header.metadata.get(f"{ARCHITECTURE}.attention.sliding_window"),
        "tie_word_embeddings": "output.weight" not in header.tensors,
        "use_bias": "blk.0.attn_q.bias" in header.tensors,
        "bos_token_id": value("tokenizer.ggml.bos_token_id"),
        "eos_token_id": value("tokenizer.ggml.eos_token_id"),
    }
