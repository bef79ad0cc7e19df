"""Write a model of a given shape with random weights as GGUF (or as a Hugging Face directory), for measurements of speed.

    python benchmarks/peers/random_gguf.py OUT.gguf --shape 3b --type q4_0
    python benchmarks/peers/random_gguf.py OUT --shape 3b --type bf16-directory     (for OpenVINO's exporter: 6 GB)

Needs PyTorch for nothing and 100 MB of memory: tensors are written one after the other. The embedding, which is the head as
well, is Q6_K in a Q4_0 file, as llama-quantize makes it
(Q8_0 where its rows are no multiple of 256). The vocabulary is the embedded model's, filled up with tokens that no
text leads to. What such a model writes means nothing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, LlamaFileType
from numpy.typing import NDArray

from starloom.contract import Contract, Tokenizer
from starloom.contract.embedded import embedded_model
from starloom.contract.gguf_model import ARCHITECTURE, add_metadata, gguf_name
from starloom.contract.model_config import StarCoder2Config
from starloom.contract.model_tensors import EMBEDDING, published_shapes
from starloom.contract.presets import PRESETS, preset
from starloom.contract.vocabulary import Vocabulary
from starloom.core.files import new_file, new_folder

U8 = NDArray[np.uint8]
Kind = GGMLQuantizationType

TYPES = {
    "q4_0": (Kind.Q4_0, Kind.Q6_K, LlamaFileType.MOSTLY_Q4_0),
    "q8_0": (Kind.Q8_0, Kind.Q8_0, LlamaFileType.MOSTLY_Q8_0),
    "bf16": (Kind.BF16, Kind.BF16, LlamaFileType.MOSTLY_BF16),
}
"""The kinds of the layers' matrices and of the embedding, and the mark of the file."""

DIRECTORY = "bf16-directory"
_ROWS = 4096


def contract_of(vocab_size: int) -> Contract:
    """The embedded model's contract with a vocabulary of `vocab_size` tokens."""
    old = Contract.of(embedded_model()).tokenizer.vocabulary
    filling = (f"~{number:06}~" for number in range(vocab_size - len(old.tokens)))
    return Contract(Tokenizer(Vocabulary((*old.tokens, *filling), old.merges, old.special)))


def rows(kind: Kind, count: int, columns: int, spread: float, draw: np.random.Generator) -> U8:
    """`count` random rows as ggml stores them, with a standard deviation of about `spread`."""
    if kind == Kind.BF16:
        numbers = draw.standard_normal((count, columns), np.float32) * np.float32(spread)
        return (numbers.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)
    size, num_bytes = GGML_QUANT_SIZES[kind]
    blocks = draw.integers(0, 256, (count * columns // size, num_bytes), np.uint8)
    if kind == Kind.Q6_K:  # 4 and 2 bits of each number, 16 scales of 8 bits, one scale of them all
        blocks[:, 192:208] = draw.integers(16, 33, (len(blocks), 16), np.uint8)
        blocks[:, 208:] = np.float16(spread / 18.5 / 24).tobytes()[0], np.float16(spread / 18.5 / 24).tobytes()[1]
    else:
        scale = spread / {Kind.Q4_0: 4.6, Kind.Q8_0: 73.9}[kind]
        scales = (scale * draw.uniform(0.8, 1.2, len(blocks))).astype(np.float16)
        blocks[:, :2] = scales.view(np.uint8).reshape(-1, 2)
    return blocks.reshape(count, -1)


def pieces(name: str, shape: tuple[int, ...], kind: Kind, spread: float, draw: np.random.Generator) -> Iterator[U8]:
    """A tensor's bytes, some rows at a time. Norms are 1, biases 0."""
    if len(shape) == 1:
        yield np.full(shape, "norm" in name and name.endswith("weight"), np.float32).view(np.uint8)
        return
    for start in range(0, shape[0], _ROWS):
        yield rows(kind, min(_ROWS, shape[0] - start), shape[1], spread, draw)


def write_gguf(config: StarCoder2Config, path: Path, type_: str, seed: int) -> None:
    """Write `path` whole or not at all."""
    matrices, embedding, mark = TYPES[type_]
    if config.hidden_size % GGML_QUANT_SIZES[embedding][0]:
        embedding = Kind.Q8_0
    shapes, draw = published_shapes(config), np.random.Generator(np.random.SFC64(seed))
    kinds = {name: Kind.F32 if len(shape) == 1 else matrices for name, shape in shapes.items()} | {EMBEDDING: embedding}
    with new_file(path) as partial:
        writer = gguf.GGUFWriter(None, ARCHITECTURE)
        add_metadata(writer, config, contract_of(config.vocab_size), mark)
        for name, shape in shapes.items():
            size, num_bytes = GGML_QUANT_SIZES[kinds[name]]
            total = int(np.prod(shape)) // size * num_bytes
            writer.add_tensor_info(gguf_name(name), shape, np.dtype(np.float32), total, raw_dtype=kinds[name])
        writer.write_header_to_file(partial)
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for name, shape in shapes.items():
            _write_whole(writer, pieces(name, shape, kinds[name], config.initializer_range, draw))
        writer.close()


def _write_whole(writer: gguf.GGUFWriter, parts: Iterator[U8]) -> None:
    """One tensor; the writer itself would want it in one piece."""
    assert writer.fout
    out = writer.fout[0]
    writer.write_padding(out, out.tell())
    for part in parts:
        out.write(part.data)
    writer.write_padding(out, out.tell())


def write_directory(config: StarCoder2Config, path: Path, seed: int) -> None:
    """Write config.json, the tokenizer, and one safetensors file of bf16 matrices and vectors."""
    shapes, draw = published_shapes(config), np.random.Generator(np.random.SFC64(seed))
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end := end + 2 * int(np.prod(shape))]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with new_folder(path) as folder:
        (folder / "config.json").write_text(json.dumps(config.to_json_dict() | {"dtype": "bfloat16"}))
        contract_of(config.vocab_size).save(folder)
        with (folder / "model.safetensors").open("wb") as out:
            out.write(len(text).to_bytes(8, "little") + text)
            for name, shape in shapes.items():
                for part in pieces(name, shape, Kind.BF16, config.initializer_range, draw):
                    out.write((part if len(shape) > 1 else _bf16(part)).data)


def _bf16(vector: U8) -> U8:
    return (vector.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--shape", default="3b", choices=sorted(PRESETS))
    parser.add_argument("--type", default="q4_0", choices=[*TYPES, DIRECTORY])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.type == DIRECTORY:
        write_directory(preset(arguments.shape), arguments.out, arguments.seed)
    else:
        write_gguf(preset(arguments.shape), arguments.out, arguments.type, arguments.seed)
    print(f"{arguments.out}: {arguments.shape}, {arguments.type}")


if __name__ == "__main__":
    main()
