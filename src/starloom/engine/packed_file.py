"""Packed models and their files, which are mapped into memory as they are.

    STARPACK          8 bytes
    length            8 bytes, little-endian: the bytes of the header
    digest           32 bytes: SHA-256 of the header
    header            JSON: version, config, source (what it was made from), tensors: name -> [kind, rows, columns, offset], bytes
    ...               zeros up to a multiple of 4,096: here the data begin, and offsets count from here
    tensors           each at a multiple of 4,096

It is written in pieces of 2 MiB at multiples of 2 MiB, which Linux (6.16 on for ext4) then keeps, and maps, as huge pages.
A packed file is a cache: only the version of Starloom that wrote it need read it, and the tokenizer stays in the source.
Sizes and places follow from the configuration, and what a header says is held against that before a byte is used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, Final

import numpy as np

from starloom.contract.model_config import StarCoder2Config
from starloom.core.errors import FormatError, InputError
from starloom.core.mapping import mapped
from starloom.engine.layouts import F32, KINDS, U8, unpack
from starloom.engine.memory import HUGE
from starloom.engine.plan import PackedKind, parts, tensor_bytes

MAGIC, VERSION = b"STARPACK", 2
ALIGNMENT: Final = 4096
_FIXED, _LONGEST = 48, 16 * 2**20

_NATIVE_FIELDS: Final = (
    *("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads"),
    *("head_dim", "vocab_size", "sliding_window", "rope_theta", "norm_epsilon"),
)


@dataclass(frozen=True)
class PackedTensor:
    """Where a packed tensor lies in the model's memory. A vector has the kind "vector", 1 column, and float32 numbers."""

    kind: PackedKind
    rows: int
    columns: int
    offset: int


@dataclass(frozen=True)
class PackedModel:
    """A model in the form in which the native core reads it. `data` holds all tensors and may be a read-only map of a file.

    `source` is the model that it was packed from, where the tokenizer is; None for random weights.
    """

    config: StarCoder2Config
    tensors: Mapping[str, PackedTensor]
    data: U8
    source: Path | None

    @property
    def native_config(self) -> dict[str, float]:
        """The `config` of `_native.Model`."""
        config = self.config
        names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
        rest = ("head_dim", "vocab_size", "rope_theta", "norm_epsilon")
        return {name: float(getattr(config, name)) for name in names + rest} | {
            "sliding_window": float(config.sliding_window or 0)
        }

    @property
    def native_tensors(self) -> dict[str, tuple[str, int, int, int]]:
        """The `tensors` of `_native.Model`."""
        return {name: (tensor.kind, tensor.rows, tensor.columns, tensor.offset) for name, tensor in self.tensors.items()}

    @property
    def num_bytes(self) -> int:
        """All weights, with the zeros between them."""
        return len(self.data)

    def bytes_of(self, name: str) -> U8:
        """The bytes of one tensor; a view."""
        tensor = self.tensors[name]
        return self.data[tensor.offset : tensor.offset + tensor_bytes(tensor.kind, tensor.rows, tensor.columns)]

    def floats(self, name: str) -> F32:
        """The values of one tensor, [rows, columns] or [rows]."""
        tensor, data = self.tensors[name], self.bytes_of(name)
        return data.view("<f4") if tensor.kind == "vector" else unpack(data, tensor.kind, tensor.rows, tensor.columns)


Source = Mapping[str, Any]
"""What a packed model was made from, as JSON; compared with what is there when the file is opened again."""


def placed(config: StarCoder2Config, kinds: Mapping[str, PackedKind]) -> tuple[dict[str, PackedTensor], int]:
    """Every tensor of a model at its place, by name, and the bytes of all; `kinds` has the kind of each."""
    tensors, end = {}, 0
    for part in parts(config):
        kind = kinds[part.name]
        tensors[part.name] = PackedTensor(kind, part.rows, part.columns, end)
        end += -(-tensor_bytes(kind, part.rows, part.columns) // ALIGNMENT) * ALIGNMENT
    return tensors, end


def write_packed(
    path: Path, config: StarCoder2Config, kinds: Mapping[str, PackedKind], source: Source, pieces: Iterable[tuple[str, U8]]
) -> None:
    """Write a packed file to `path`, which a caller makes whole or absent; `pieces` are the tensors' bytes in order."""
    tensors, total = placed(config, kinds)
    content = {
        "version": VERSION,
        "config": config.to_json_dict(),
        "source": source,
        "tensors": {name: [tensor.kind, tensor.rows, tensor.columns, tensor.offset] for name, tensor in tensors.items()},
        "bytes": total,
    }
    header = json.dumps(content).encode()
    start = -(-(_FIXED + len(header)) // ALIGNMENT) * ALIGNMENT
    with path.open("wb", buffering=0) as stream:
        file = _HugePieces(stream)
        file.write(MAGIC + len(header).to_bytes(8, "little") + hashlib.sha256(header).digest() + header)
        current = ""
        for name, piece in pieces:
            if name != current:
                file.zeros_up_to(start + tensors[name].offset)
                current = name
            file.write(piece.data)
        file.zeros_up_to(start + total)
        file.flush()


class _HugePieces:
    """Writes a file from front to back in whole huge pages; `flush` writes the last part."""

    def __init__(self, stream: FileIO) -> None:
        self._stream, self._buffer, self._used, self._flushed = stream, memoryview(bytearray(HUGE)), 0, 0

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes."""
        rest = memoryview(data).cast("B")
        while len(rest):
            count = min(len(rest), HUGE - self._used)
            self._buffer[self._used : self._used + count] = rest[:count]
            self._used, rest = self._used + count, rest[count:]
            if self._used == HUGE:
                self.flush()

    def zeros_up_to(self, place: int) -> None:
        """Append zeros until the file has `place` bytes."""
        self.write(bytes(place - self._flushed - self._used))

    def flush(self) -> None:
        """Hand to the system what it does not have yet."""
        part = self._buffer[: self._used]
        while len(part):
            part = part[self._stream.write(part) or 0 :]
        self._flushed, self._used = self._flushed + self._used, 0


def read_packed(path: Path) -> tuple[PackedModel, Source]:
    """Map a packed file. Raises `FormatError` when it is damaged or of another version, `InputError` when there is none."""
    if not path.is_file():
        raise InputError(f"there is no packed model at '{path}'")
    if path.stat().st_size < _FIXED:
        raise FormatError(f"'{path}' is damaged: it has {path.stat().st_size} bytes")
    data = np.frombuffer(mapped(path), np.uint8)
    try:
        return _read(data)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(f"'{path}' is damaged, truncated or no packed model of this version: {error}") from None


def _read(data: U8) -> tuple[PackedModel, Source]:
    fixed = data[:_FIXED].tobytes()
    if fixed[:8] != MAGIC:
        raise FormatError("it does not begin with 'STARPACK'")
    length = int.from_bytes(fixed[8:16], "little")
    if length > min(_LONGEST, len(data) - _FIXED):
        raise FormatError(f"its header should have {length} bytes; the file has {len(data)}")
    header = data[_FIXED : _FIXED + length].tobytes()
    if hashlib.sha256(header).digest() != fixed[16:]:
        raise FormatError("its header does not have the digest that stands before it")
    content = json.loads(header)
    if content["version"] != VERSION:
        raise FormatError(f"it is of version {content['version']!r}, not {VERSION}")
    config = StarCoder2Config.from_json_dict(content["config"])
    kinds = {name: _kind(name, row) for name, row in content["tensors"].items()}
    tensors, total = placed(config, kinds)
    start = -(-(_FIXED + length) // ALIGNMENT) * ALIGNMENT
    if content["bytes"] != total or len(data) != start + total:
        raise FormatError(f"its tensors have {total} bytes from byte {start} on; the file has {len(data)}")
    for name, tensor in tensors.items():
        if content["tensors"][name] != [tensor.kind, tensor.rows, tensor.columns, tensor.offset]:
            raise FormatError(f"tensor '{name}' is said to be {content['tensors'][name]}; it must be {tensor}")
    source: Source = content["source"]
    path = source.get("path")
    return PackedModel(config, tensors, data[start:], None if path is None else Path(path)), source


def _kind(name: str, row: Any) -> PackedKind:
    if not isinstance(row, list) or len(row) != 4:
        raise FormatError(f"tensor '{name}' is not described by kind, rows, columns and offset")
    kind: PackedKind = row[0]
    is_vector = "norm." in name or name.endswith(".bias")
    if kind not in (("vector",) if is_vector else KINDS):
        raise FormatError(f"tensor '{name}' is of the kind {kind!r}")
    return kind
