"""The readable twin of packing, activations and products (native/src/pack.cc, activations.h, multiply_*.cc).

Whole numbers are exact here and there; what is left is how float32 sums round, which `Product.slack` bounds.

Shapes:  M rows   N outputs   K inputs   G = K / 32 groups
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from starloom.engine.layouts import (
    GROUP,
    U8,
    Groups,
    Kind,
    bf16_bits,
    from_bf16_bits,
    pack_bf16,
    pack_floats,
    pack_groups,
    unpack,
    unpack_groups,
)

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
EPSILON = 2.0**-23


def pack(weights: F32, kind: Kind) -> U8:
    """`weights` [N, K] to the nearest of each group's numbers."""
    if kind == "f32":
        return pack_floats(weights)
    if kind == "bf16":
        return pack_bf16(bf16_bits(weights))
    grouped = weights.reshape(len(weights), -1, GROUP)
    minimum = np.zeros(grouped.shape[:2], np.float16)
    if kind == "q8":
        scale, shift, low, high = np.abs(grouped).max(-1) / np.float32(127), 0, -127, 127
    elif kind == "q4":
        place = np.abs(grouped).argmax(-1, keepdims=True)
        scale, shift, low, high = np.take_along_axis(grouped, place, -1)[..., 0] / np.float32(-8), 8, 0, 15
    else:
        minimum = grouped.min(-1).astype(np.float16)
        scale, shift, low, high = (grouped.max(-1) - grouped.min(-1)) / np.float32(15), 0, 0, 15
    halves = scale.astype(np.float16)
    wide = halves.astype(np.float32)[..., None]
    inverse = np.divide(np.float32(1), wide, out=np.zeros_like(wide), where=wide != 0)
    numbers = (np.rint((grouped - minimum.astype(np.float32)[..., None]) * inverse) + shift).clip(low, high)
    whole = numbers.reshape(weights.shape).astype(np.int8 if kind == "q8" else np.uint8)
    return pack_groups(Groups(kind, whole, halves, minimum if kind == "q4m" else None))


def rounded(x: F32) -> F64:
    """[M, K] as the products see it: whole numbers up to 127 times a power of two for 32 inputs (MXINT8)."""
    grouped = x.reshape(len(x), x.shape[1] // GROUP, GROUP)
    ratio = np.abs(grouped).max(-1, keepdims=True) * np.float32(1 / 127)
    fraction, exponent = np.frexp(ratio)
    power = np.ldexp(1.0, np.maximum(np.where(fraction == 0.5, exponent - 1, exponent), -100))  # not below the ratio
    return (np.rint(grouped / power) * power).reshape(x.shape)


@dataclass(frozen=True)
class Product:
    """Outputs [M, N], and how far float32 sums may be from them."""

    values: F64
    slack: F64


def multiply(data: U8, kind: Kind, rows: int, columns: int, x: F32, bias: F32 | None, epilogue: str, y: F32) -> Product:
    """What `y` [M, N] shall be after the product of `x` [M, K] with the packed matrix."""
    if kind == "f32":
        inputs, terms = x.astype(np.float64), columns
    elif kind == "bf16":
        inputs, terms = from_bf16_bits(bf16_bits(x)).astype(np.float64), columns
    else:
        inputs, terms = rounded(x), 2 * columns // GROUP
    weights = unpack(data, kind, rows, columns).astype(np.float64)
    z, size = inputs @ weights.T, np.abs(inputs) @ np.abs(weights).T
    if kind == "q4m":  # numbers and minimums are summed apart, and may cancel
        groups = unpack_groups(data, kind, rows, columns)
        assert groups.minimum is not None
        minimum = np.abs(groups.minimum.astype(np.float64)).repeat(GROUP, axis=1)
        size = size + 2 * np.abs(inputs) @ minimum.T
    if bias is not None:
        z, size = z + bias, size + np.abs(bias)
    slack = size * (terms + 4) * EPSILON / 2
    if epilogue == "gelu":
        z, slack = gelu(z), 1.2 * slack + 1e-6 * np.maximum(1, np.abs(z))
    if epilogue == "add":
        z = z + y
        slack = slack + np.abs(z) * EPSILON
    return Product(z, slack + 1e-30)


def gelu(z: F64) -> F64:
    """The GELU by its tanh."""
    return z / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))
