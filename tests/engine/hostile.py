"""Model files made wrong on purpose: random damage and lies about sizes, offsets, types and names, by a seed.

`attempt` opens such a file as the engine does, to the last number, and lets nothing through but a `StarloomError`.
"""

from __future__ import annotations

import hashlib
import json
import random
import struct
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from weight_files import config, raw_tensor, write_gguf

from starloom.contract.model_tensors import published_shapes
from starloom.core.errors import StarloomError
from starloom.engine.packed import pack_in_memory
from starloom.engine.packed_file import read_packed
from starloom.engine.random_weights import random_packed
from starloom.engine.sources import open_source

KINDS = ("gguf F32", "gguf Q4_0", "gguf Q6_K", "gguf Q4_K", "safetensors", "index", "config", "packed")

NUMBERS = (0, 1, 2, 7, 31, 32, 63, 255, 2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
VALUES: tuple[Any, ...] = (
    *(None, True, False, [], {}, "", "F32", "BF16", "I64", -1, 0, 1, 1.5, 2**31, 2**63, 2**64, 10**300),
    *(float("inf"), float("nan")),
    *([0], [2**32, 2**32], [-1, 1], [[1]], {"a": 1}, "../x.safetensors", "q4", "vector", "\u0000", "x" * 5000),
)


def good_files(folder: Path) -> dict[str, Path]:
    """One whole file or directory of each kind."""
    found = {}
    for kind in ("F32", "Q4_0", "Q6_K", "Q4_K"):
        found[f"gguf {kind}"] = folder / f"{kind}.gguf"
        write_gguf(found[f"gguf {kind}"], config(hidden=64 if kind in ("F32", "Q4_0") else 256), lambda name, kind=kind: kind)
    for kind in ("safetensors", "index", "config"):
        found[kind] = folder / kind
        write_directory(found[kind], shards=2 if kind == "index" else 1)
    found["packed"] = folder / "model.starpack"
    random_packed(config(), "q4", path=found["packed"])
    return found


def write_directory(path: Path, *, shards: int = 1) -> None:
    """A Hugging Face directory with random bfloat16 weights, written by hand."""
    rng, settings = np.random.default_rng(1), config()
    path.mkdir()
    (path / "config.json").write_text(json.dumps(settings.to_json_dict()))
    names = list(published_shapes(settings).items())
    places = {}
    for shard in range(shards):
        file = "model.safetensors" if shards == 1 else f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        header, data = {}, b""
        for name, shape in names[shard::shards]:
            raw = raw_tensor(rng, "BF16", shape).tobytes()
            header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
            data, places[name] = data + raw, file
        (path / file).write_bytes(safetensors_bytes(header, data))
    if shards > 1:
        (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))


def safetensors_bytes(header: Any, data: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


# --- damage


def damaged_bytes(draw: random.Random, data: bytes, header: int) -> bytes:
    """A few bytes changed, numbers replaced, pieces cut out or doubled, mostly within the first `header` bytes."""
    broken = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        end = min(len(broken), header if draw.random() < 0.9 else len(broken))
        place = draw.randrange(max(1, end))
        match draw.randrange(7):
            case 0 | 1:
                broken[place : place + 1] = bytes([draw.randrange(256)])
            case 2 | 3:
                number = draw.choice(NUMBERS) + draw.choice((0, 0, 1, -1))
                size = draw.choice((4, 8))
                broken[place : place + size] = (number % 2 ** (8 * size)).to_bytes(size, "little")
            case 4:
                del broken[draw.randrange(max(1, len(broken))) :]
            case 5:
                del broken[place : place + draw.randint(1, 64)]
            case 6:
                other = draw.randrange(max(1, end))
                broken[place:place] = broken[other : other + draw.randint(1, 200)]
    return bytes(broken)


def damaged_json(draw: random.Random, value: Any) -> Any:
    """The same JSON with a value replaced, a key lost or renamed, a number moved a little, somewhere within."""
    if isinstance(value, dict) and value and draw.random() < 0.9:
        key = draw.choice(list(value))
        match draw.randrange(8):
            case 0:
                return {name: item for name, item in value.items() if name != key}
            case 1:
                return value | {draw.choice(("x", "__metadata__", key + "2", "lm_head.weight")): draw.choice(VALUES)}
            case 2:
                return value | {key: value[draw.choice(list(value))]}
            case _:
                return value | {key: damaged_json(draw, value[key])}
    if isinstance(value, list) and value and draw.random() < 0.9:
        place = draw.randrange(len(value))
        return [*value[:place], damaged_json(draw, value[place]), *value[place + 1 :]]
    if type(value) is int and draw.random() < 0.5:
        return value + draw.choice((-1, 1, 64, -64, 4096, 2**32))
    return draw.choice((*VALUES, *NUMBERS))


def spoil(kind: str, good: Path, target: Path, seed: int) -> None:
    """Write to `target` the file or directory `good` with damage that `seed` decides."""
    draw = random.Random(seed)
    if kind.startswith("gguf"):
        data = good.read_bytes()
        tensors = min(tensor.data_offset for tensor in gguf.GGUFReader(good).tensors)
        start = data.index(b"token_embd.weight") - 40 if draw.random() < 0.7 else 0  # metadata, or the table of tensors
        target.write_bytes(data[:start] + damaged_bytes(draw, data[start:], tensors - start))
    elif kind == "packed":
        target.write_bytes(_spoiled_packed(draw, good.read_bytes()))
    else:
        target.mkdir(exist_ok=True)
        for file in good.iterdir():
            (target / file.name).write_bytes(file.read_bytes())
        _spoil_directory(draw, kind, target)


def _spoil_directory(draw: random.Random, kind: str, target: Path) -> None:
    if kind == "safetensors":
        file = target / "model.safetensors"
        data = file.read_bytes()
        end = 8 + int.from_bytes(data[:8], "little")
        if draw.random() < 0.4:
            file.write_bytes(damaged_bytes(draw, data, end))
        else:
            file.write_bytes(safetensors_bytes(damaged_json(draw, json.loads(data[8:end])), data[end:]))
        return
    file = target / ("config.json" if kind == "config" else "model.safetensors.index.json")
    if draw.random() < 0.3:
        file.write_bytes(damaged_bytes(draw, file.read_bytes(), 10**9))
    else:
        file.write_text(json.dumps(damaged_json(draw, json.loads(file.read_bytes()))))


def _spoiled_packed(draw: random.Random, data: bytes) -> bytes:
    """Random damage, or lies in the header under a digest that is right."""
    if draw.random() < 0.4:
        return damaged_bytes(draw, data, 6000)
    length = int.from_bytes(data[8:16], "little")
    header = json.dumps(damaged_json(draw, json.loads(data[48 : 48 + length]))).encode()
    start, room = -(-(48 + length) // 4096) * 4096, -(-(48 + len(header)) // 4096) * 4096
    fixed = data[:8] + len(header).to_bytes(8, "little") + hashlib.sha256(header).digest() + header
    return fixed.ljust(room, b"\0") + data[start:]


# --- reading


def attempt(kind: str, path: Path) -> str:
    """Open `path` and read every number; "read", or the error's name. Anything but a `StarloomError` goes on up."""
    try:
        if kind == "packed":
            model, _ = read_packed(path)
            for name in model.tensors:
                model.floats(name)
        else:
            pack_in_memory(open_source(path), "q8")
    except StarloomError as error:
        return type(error).__name__
    return "read"
