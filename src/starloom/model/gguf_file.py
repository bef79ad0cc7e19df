"""Models as one GGUF file of the architecture `starcoder2`, which llama.cpp opens unchanged.

The only place that knows GGUF's names. Beside the keys that llama.cpp reads, the file holds the exact configuration and
the contract as JSON text; llama.cpp ignores both, and the sliding window too: beyond it, it attends to everything.
Norms and biases stay float32 in every quantization. Source: llama.cpp's loader of the architecture, the `gguf` package.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, LlamaFileType
from numpy.typing import NDArray
from torch import Tensor

from starloom.contract import Contract
from starloom.contract.gguf_vocabulary import CONTRACT_KEY
from starloom.contract.tokens import END_OF_TEXT, FILE_SEP, FIM_MIDDLE, FIM_PAD, FIM_PREFIX, FIM_SUFFIX, REPO_NAME
from starloom.core.errors import FormatError, MismatchError, SettingsError
from starloom.core.files import new_file
from starloom.core.gguf_header import GgufHeader, read_header
from starloom.model.config import StarCoder2Config
from starloom.model.tensors import check_shapes

ARCHITECTURE = "starcoder2"
CONFIG_KEY = "starloom.config"

QUANTIZATIONS = {
    "f32": (GGMLQuantizationType.F32, LlamaFileType.ALL_F32),
    "f16": (GGMLQuantizationType.F16, LlamaFileType.MOSTLY_F16),
    "bf16": (GGMLQuantizationType.BF16, LlamaFileType.MOSTLY_BF16),
    "q8_0": (GGMLQuantizationType.Q8_0, LlamaFileType.MOSTLY_Q8_0),
}
"""How matrices can be stored: the kind of each, and the mark of the whole file."""

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


def write_gguf(
    config: StarCoder2Config, tensors: Mapping[str, Tensor], contract: Contract, path: Path, quantization: str
) -> None:
    """Write model and contract into the file `path` in one step; on any error what was there stays.

    Matrices whose rows are no multiple of 32 stay float16 in "q8_0". Raises `SettingsError` for an unknown
    quantization, `MismatchError` when the contract's vocabulary is not the model's.
    """
    if quantization not in QUANTIZATIONS:
        raise SettingsError(f"there is no quantization '{quantization}'; known are {', '.join(QUANTIZATIONS)}")
    if contract.tokenizer.vocab_size != config.vocab_size:
        raise MismatchError(f"the tokenizer has {contract.tokenizer.vocab_size} tokens, the model {config.vocab_size}")
    kind, file_type = QUANTIZATIONS[quantization]
    with new_file(path) as partial:
        writer = gguf.GGUFWriter(None, ARCHITECTURE)
        try:
            _add_config(writer, config, file_type)
            _add_contract(writer, contract)
            _write(writer, partial, tensors, kind)
        finally:
            writer.close()


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


def _kind_of(tensor: Tensor, kind: GGMLQuantizationType) -> GGMLQuantizationType:
    if tensor.dim() < 2:
        return GGMLQuantizationType.F32
    return kind if tensor.shape[-1] % GGML_QUANT_SIZES[kind][0] == 0 else GGMLQuantizationType.F16


def _write(writer: gguf.GGUFWriter, path: Path, tensors: Mapping[str, Tensor], kind: GGMLQuantizationType) -> None:
    """Write the header, then one tensor after the other, so that only one is held in its new form."""
    for name, tensor in tensors.items():
        block, block_bytes = GGML_QUANT_SIZES[_kind_of(tensor, kind)]
        size = tensor.numel() // block * block_bytes
        writer.add_tensor_info(gguf_name(name), tuple(tensor.shape), np.dtype(np.float32), size, raw_dtype=_kind_of(tensor, kind))
    writer.write_header_to_file(path)
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in tensors.values():
        numbers = tensor.detach().to("cpu", torch.float32).contiguous().numpy()
        writer.write_tensor_data(gguf.quantize(numbers, _kind_of(tensor, kind)))


# --- reading


class GgufModel:
    """A GGUF file opened for reading; `config` is checked at once, weights are read by `tensors`.

    Raises `InputError` when there is none, `FormatError` when it is damaged or of another architecture.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._header = read_header(path)
        try:
            self.config = _read_config(self._header)
        except (FormatError, SettingsError) as error:
            raise FormatError(f"'{path}': {error}") from error

    def tensors(self, shapes: Mapping[str, tuple[int, ...]], dtype: torch.dtype | None) -> dict[str, Tensor]:
        """All weights of the given published names and shapes, dequantised to `dtype` (None: float32).

        Raises `FormatError` that names the tensor that is missing, extra, mis-shaped, truncated or stored in an unknown way.
        """
        names = {gguf_name(name): name for name in shapes}
        found = {names.get(name, name): tensor.shape for name, tensor in self._header.tensors.items()}
        check_shapes(found, shapes, self.path)
        wanted = dtype or torch.float32
        return {names[place]: torch.from_numpy(self._numbers(place)).to(wanted) for place in self._header.tensors}

    def _numbers(self, name: str) -> NDArray[np.float32]:
        """A copy of one tensor in float32."""
        tensor = self._header.tensors[name]
        try:
            kind = GGMLQuantizationType(tensor.kind)
            row = gguf.quant_shape_to_byte_shape(tensor.shape, kind)
            raw = np.frombuffer(self._header.data, np.uint8, math.prod(row), tensor.offset).reshape(row)
            with np.errstate(all="ignore"):  # damaged scales may be anything
                return np.array(gguf.dequantize(raw, kind), dtype=np.float32)
        except (ValueError, OverflowError, NotImplementedError) as error:
            raise FormatError(f"'{self.path}': tensor '{name}' is truncated or stored in an unknown way ({error})") from None


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
