"""Small models in every format that the engine reads, written without PyTorch from random numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import gguf
import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, LlamaFileType
from numpy.typing import NDArray

from starloom.contract import Contract, Tokenizer
from starloom.contract.gguf_model import add_metadata, gguf_name
from starloom.contract.model_config import StarCoder2Config
from starloom.contract.model_tensors import published_shapes
from starloom.contract.presets import preset

K_QUANTS = {"Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,)}
"""Where the float16 scales of a block stand, in the formats that the `gguf` package cannot write."""


@cache
def contract() -> Contract:
    return Contract(Tokenizer.train(["def main():\n    return [name for name in names if name]\n" * 3], 320))


def config(*, hidden: int = 64, tied: bool = True) -> StarCoder2Config:
    return preset(
        "debug",
        vocab_size=contract().tokenizer.vocab_size,
        hidden_size=hidden,
        intermediate_size=4 * hidden,
        tie_word_embeddings=tied,
        sliding_window=64,
    )


def random_blocks(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Random bytes of a quantised matrix whose values are sensible."""
    size, num_bytes = GGML_QUANT_SIZES[GGMLQuantizationType[kind]]
    blocks = rng.integers(0, 256, (shape[0], shape[1] // size, num_bytes), np.uint8)
    for place in K_QUANTS.get(kind, (0, 2) if kind == "Q4_1" else (0,)):
        scales = rng.normal(0, 0.01, blocks.shape[:2]).astype("<f2")
        blocks[..., place : place + 2] = scales.view(np.uint8).reshape(*blocks.shape[:2], 2)
    return blocks.reshape(shape[0], -1)


def raw_tensor(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The bytes [rows, bytes of a row] of a random tensor in a format."""
    if kind in ("F32", "F16", "BF16"):
        values = rng.normal(0, 0.05, shape).astype(np.float32)
        return np.ascontiguousarray(gguf.quantize(values, GGMLQuantizationType[kind])).view(np.uint8)
    return random_blocks(rng, kind, shape)


def write_gguf(
    path: Path, settings: StarCoder2Config, kind_of: Callable[[str], str], seed: int = 0
) -> dict[str, NDArray[np.float32]]:
    """A GGUF file whose matrices are stored as `kind_of` says of their published names; their values."""
    rng, values = np.random.default_rng(seed), {}
    writer = gguf.GGUFWriter(path, "starcoder2")
    add_metadata(writer, settings, contract(), LlamaFileType.ALL_F32)
    for name, shape in published_shapes(settings).items():
        kind = kind_of(name) if len(shape) == 2 else "F32"
        raw = raw_tensor(rng, kind, shape)
        values[name] = np.asarray(gguf.dequantize(raw, GGMLQuantizationType[kind]), np.float32).reshape(shape)
        writer.add_tensor(gguf_name(name), raw, raw_dtype=GGMLQuantizationType[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return values
