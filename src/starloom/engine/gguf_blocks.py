"""GGUF's blocks of 32 and 256 numbers with their scales, read into whole numbers and written from them, bit for bit.

Source: ggml's quants. Knows nothing of files, and rounds nothing but the scales of Q4_K.

Shapes in comments:  N rows   K columns
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from starloom.engine.layouts import F16, GROUP, U8, Groups


def _blocks(data: U8, size: int) -> U8:
    """[N, row bytes] -> [N, blocks, `size`]."""
    return np.ascontiguousarray(data).reshape(len(data), -1, size)


def _halves(blocks: U8, start: int) -> F16:
    """The float16 at byte `start` of each block."""
    return np.ascontiguousarray(blocks[..., start : start + 2]).view("<f2")[..., 0]


def _nibbles(data: U8) -> U8:
    """[N, groups, 16] -> [N, K]: the low halves of a group's bytes, then the high ones."""
    return np.concatenate((data & 15, data >> 4), axis=-1).reshape(len(data), -1)


def _q8_0(data: U8) -> Groups:
    blocks = _blocks(data, 34)
    return Groups("q8", np.ascontiguousarray(blocks[..., 2:]).view(np.int8).reshape(len(data), -1), _halves(blocks, 0))


def _q4_0(data: U8) -> Groups:
    blocks = _blocks(data, 18)
    return Groups("q4", _nibbles(blocks[..., 2:]), _halves(blocks, 0))


def _q4_1(data: U8) -> Groups:
    blocks = _blocks(data, 20)
    return Groups("q4m", _nibbles(blocks[..., 4:]), _halves(blocks, 0), _halves(blocks, 2))


def _q4_k(data: U8) -> Groups:
    """Super-blocks of 256: two halves, 8 scales and 8 minima of 6 bits, then nibbles, 64 inputs in each 32 bytes.

    The products of half and 6 bits are rounded to halves: the only bits that this format loses here.
    """
    blocks = _blocks(data, 144)
    packed = blocks[..., 4:16]
    first, second, upper = packed[..., :4], packed[..., 4:8], packed[..., 8:]
    scales = np.concatenate((first & 63, upper & 15 | first >> 2 & 48), axis=-1)
    minima = np.concatenate((second & 63, upper >> 4 | second >> 2 & 48), axis=-1)
    nibbles = blocks[..., 16:].reshape(len(data), -1, 4, GROUP)
    numbers = np.stack((nibbles & 15, nibbles >> 4), axis=-2)

    def products(start: int, factors: U8, sign: float) -> F16:
        with np.errstate(all="ignore"):
            wide = _halves(blocks, start).astype(np.float32)[..., None] * factors * np.float32(sign)
            return wide.astype(np.float16).reshape(len(data), -1)

    return Groups("q4m", numbers.reshape(len(data), -1), products(0, scales, 1), products(2, minima, -1))


READERS: Final[dict[str, Callable[[U8], Groups]]] = {"Q8_0": _q8_0, "Q4_0": _q4_0, "Q4_1": _q4_1, "Q4_K": _q4_k}
"""From the bytes [N, bytes of a row] of each format that holds whole numbers in groups of 32."""


def written(groups: Groups) -> U8:
    """The bytes [N, bytes of a row] of q8 as Q8_0, of q4 as Q4_0, of q4m as Q4_1."""
    rows = len(groups.numbers)
    numbers: U8 = groups.numbers.view(np.uint8).reshape(rows, -1, GROUP)
    if groups.kind != "q8":
        numbers = np.bitwise_or(numbers[..., :16], numbers[..., 16:] << 4, dtype=np.uint8)
    fields = [groups.scale] if groups.minimum is None else [groups.scale, groups.minimum]
    scales: list[U8] = [np.ascontiguousarray(field).view(np.uint8).reshape(rows, -1, 2) for field in fields]
    return np.concatenate([*scales, numbers], axis=-1).reshape(rows, -1)
