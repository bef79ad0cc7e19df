"""How packed matrices lie in memory: the readable twin of native/include/starloom/matrix.h.

Stripes of 16 rows, blocks of 64 inputs, groups of 32 inputs that share a scale. Whole numbers and floats go in and out as
plain arrays [N, K]; nothing here rounds (see `rounding`) or knows files.

Shapes in comments:  N rows (outputs)   K columns (inputs)   S stripes   B blocks of a row
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F16 = NDArray[np.float16]
U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]

Kind = Literal["f32", "bf16", "q8", "q4", "q4m"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
STRIPE, BLOCK, GROUP = 16, 64, 32

_BLOCKS: Final[dict[Kind, np.dtype[Any]]] = {
    "f32": np.dtype([("numbers", "<f4", (BLOCK, STRIPE))]),
    "bf16": np.dtype([("numbers", "<u2", (BLOCK // 2, STRIPE, 2))]),
    "q8": np.dtype([("numbers", "i1", (2, 8, STRIPE, 4)), ("scale", "<f2", (2, STRIPE))]),
    "q4": np.dtype([("numbers", "u1", (2, 4, STRIPE, 4)), ("scale", "<f2", (2, STRIPE))]),
    "q4m": np.dtype([("numbers", "u1", (2, 4, STRIPE, 4)), ("scale", "<f2", (2, STRIPE)), ("minimum", "<f2", (2, STRIPE))]),
}


@dataclass(frozen=True)
class Groups:
    """Whole numbers with a scale (and for q4m a minimum) for each 32 of a row.

    `numbers` [N, K]: int8 from -128 on for q8, 0 to 15 for q4 and q4m. `scale`, `minimum` [N, K / 32].
    Values: q8 scale * q; q4 scale * (q - 8); q4m scale * q + minimum.
    """

    kind: Kind
    numbers: NDArray[np.int8] | U8
    scale: F16
    minimum: F16 | None = None

    def floats(self) -> F32:
        """The values [N, K]."""
        rows, columns = self.numbers.shape
        numbers = self.numbers.reshape(rows, -1, GROUP).astype(np.float32)
        if self.kind == "q4":
            numbers -= 8
        with np.errstate(all="ignore"):  # damaged scales may be anything
            numbers *= self.scale.astype(np.float32)[..., None]
            if self.minimum is not None:
                numbers += self.minimum.astype(np.float32)[..., None]
        return numbers.reshape(rows, columns)


def num_stripes(rows: int) -> int:
    """Stripes of a matrix, the last one filled up with rows of zeros."""
    return -(-rows // STRIPE)


def block_bytes(kind: Kind) -> int:
    """Bytes of 16 rows x 64 inputs."""
    return _BLOCKS[kind].itemsize


def matrix_bytes(kind: Kind, rows: int, columns: int) -> int:
    """Bytes of a packed matrix."""
    return num_stripes(rows) * (columns // BLOCK) * block_bytes(kind)


def blocks_of(data: U8, kind: Kind, rows: int, columns: int) -> NDArray[Any]:
    """`data` as records [S, B]; a view."""
    return data.view(_BLOCKS[kind]).reshape(num_stripes(rows), columns // BLOCK)


def pack_floats(weights: F32) -> U8:
    """Pack [N, K] as f32."""
    whole = _padded(weights)
    packed = np.empty((len(whole) // STRIPE, whole.shape[1] // BLOCK), _BLOCKS["f32"])
    packed["numbers"] = whole.reshape(len(packed), STRIPE, -1, BLOCK).transpose(0, 2, 3, 1)
    return packed.reshape(-1).view(np.uint8)


def pack_bf16(bits: U16) -> U8:
    """Pack [N, K] as bf16, given by its bits."""
    whole = _padded(bits)
    packed = np.empty((len(whole) // STRIPE, whole.shape[1] // BLOCK), _BLOCKS["bf16"])
    packed["numbers"] = whole.reshape(len(packed), STRIPE, -1, BLOCK // 2, 2).transpose(0, 2, 3, 1, 4)
    return packed.reshape(-1).view(np.uint8)


def pack_groups(groups: Groups) -> U8:
    """Pack whole numbers as they are."""
    numbers = _padded(groups.numbers)
    stripes, columns = len(numbers) // STRIPE, numbers.shape[1]
    packed = np.empty((stripes, columns // BLOCK), _BLOCKS[groups.kind])
    if groups.kind == "q8":
        packed["numbers"] = numbers.reshape(stripes, STRIPE, -1, 2, 8, 4).transpose(0, 2, 3, 4, 1, 5)
    else:
        halves = numbers.reshape(stripes, STRIPE, -1, 2, 4, 2, 4)
        packed["numbers"] = (halves[..., 0, :] | halves[..., 1, :] << 4).transpose(0, 2, 3, 4, 1, 5)
    for name, values in (("scale", groups.scale), ("minimum", groups.minimum)):
        if values is not None:
            packed[name] = _padded(values).reshape(stripes, STRIPE, -1, 2).transpose(0, 2, 3, 1)
    return packed.reshape(-1).view(np.uint8)


def unpack_groups(data: U8, kind: Kind, rows: int, columns: int) -> Groups:
    """What `pack_groups` packed, without the rows that filled the last stripe."""
    packed = blocks_of(data, kind, rows, columns)
    numbers = packed["numbers"].transpose(0, 4, 1, 2, 3, 5)  # [S, 16, B, 2, 8 or 4, 4]
    if kind != "q8":
        numbers = np.stack((numbers & 15, numbers >> 4), axis=-2)

    def fields(name: str) -> F16:
        values: F16 = packed[name].transpose(0, 3, 1, 2).reshape(-1, columns // GROUP)[:rows]
        return values

    return Groups(kind, numbers.reshape(-1, columns)[:rows], fields("scale"), fields("minimum") if kind == "q4m" else None)


def unpack(data: U8, kind: Kind, rows: int, columns: int) -> F32:
    """The values [N, K] of a packed matrix."""
    if kind not in ("f32", "bf16"):
        return unpack_groups(data, kind, rows, columns).floats()
    numbers = blocks_of(data, kind, rows, columns)["numbers"]
    if kind == "f32":
        whole: F32 = numbers.transpose(0, 3, 1, 2).reshape(-1, columns)
        return whole[:rows]
    return from_bf16_bits(numbers.transpose(0, 3, 1, 2, 4).reshape(-1, columns)[:rows])


def bf16_bits(values: F32) -> U16:
    """The upper halves of float32 numbers, rounded to the nearest, ties to even; numbers that are not finite stay so."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    rounded = bits >> 16
    rounded &= 1
    rounded += 0x7FFF
    rounded += bits
    rounded >>= 16
    halves = rounded.astype(np.uint16)
    if (strange := np.isnan(values)).any():
        halves[strange] = 0x7FC0
    return halves


def from_bf16_bits(bits: U16) -> F32:
    """bfloat16 numbers, given by their bits, as float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _padded(array: NDArray[Any]) -> NDArray[Any]:
    missing = -len(array) % STRIPE
    return np.pad(array, ((0, missing), (0, 0))) if missing else array
