"""Reads the header of a safetensors file: where each tensor lies. Source: the format's description in `safetensors`.

The library reads tensors too, but its numpy side knows no bfloat16, and the base install does without it. The rules are the
library's: the header is at most 100 MB of JSON, and the tensors fill the rest of the file, without holes or overlaps.
Knows nothing of what tensors mean.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from starloom.core.errors import FormatError
from starloom.core.mapping import mapped

ITEM_BYTES: Final = {
    **{"BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2},
    **{"I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8},
}
"""The bytes of one number of each dtype."""

_LONGEST, _MOST_DIMENSIONS = 100_000_000, 8


@dataclass(frozen=True)
class SafetensorsEntry:
    """A tensor's dtype (a key of `ITEM_BYTES`), its shape, and where its bytes begin in the file."""

    dtype: str
    shape: tuple[int, ...]
    offset: int

    @property
    def num_bytes(self) -> int:
        """The length of the tensor's bytes."""
        return math.prod(self.shape) * ITEM_BYTES[self.dtype]


@dataclass(frozen=True)
class SafetensorsHeader:
    """All tensors by name, and the bytes of the file, mapped."""

    tensors: dict[str, SafetensorsEntry]
    data: memoryview


def read_safetensors(path: Path) -> SafetensorsHeader:
    """Read the header of `path`. Raises `FormatError` when it is missing or damaged."""
    if not path.is_file():
        raise FormatError(f"'{path}' is missing")
    if path.stat().st_size < 8:
        raise FormatError(f"{path}: damaged or truncated safetensors file (it has {path.stat().st_size} bytes)")
    data = mapped(path)
    try:
        return SafetensorsHeader(_entries(data), data)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path}: damaged or truncated safetensors file ({error})") from None


def _entries(data: memoryview) -> dict[str, SafetensorsEntry]:
    length = int.from_bytes(data[:8], "little")
    if length > min(_LONGEST, len(data) - 8):
        raise FormatError(f"its header should have {length} bytes; the file has {len(data)}")
    header = json.loads(bytes(data[8 : 8 + length]), object_pairs_hook=_unique)
    if not isinstance(header, dict):
        raise FormatError("its header is no JSON object")
    header.pop("__metadata__", None)
    entries = {name: _entry(name, entry, 8 + length) for name, entry in header.items()}
    end = 8 + length
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].offset, item[1].num_bytes)):
        if entry.offset != end:
            raise FormatError(f"tensor '{name}' begins at byte {entry.offset}; the one before it ends at {end}")
        end += entry.num_bytes
    if end != len(data):
        raise FormatError(f"its tensors end at byte {end}; the file has {len(data)}")
    return entries


def _entry(name: str, entry: Any, start: int) -> SafetensorsEntry:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise FormatError(f"tensor '{name}' is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        raise FormatError(f"tensor '{name}' is stored as {dtype!r}; known are {', '.join(ITEM_BYTES)}")
    if not _are_counts(shape) or len(shape) > _MOST_DIMENSIONS or not _are_counts(offsets) or len(offsets) != 2:
        raise FormatError(f"the shape or the offsets of tensor '{name}' are no short lists of whole numbers")
    found = SafetensorsEntry(dtype, tuple(shape), start + offsets[0])
    if found.num_bytes != offsets[1] - offsets[0]:
        raise FormatError(f"tensor '{name}' needs {found.num_bytes} bytes; its offsets say {offsets[1] - offsets[0]}")
    return found


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 1 << 63 for value in values)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise FormatError(f"'{next(name for name in names if names.count(name) > 1)}' occurs twice in its header")
    return found
