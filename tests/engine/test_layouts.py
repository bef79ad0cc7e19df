"""The layouts, held against the words of native/include/starloom/matrix.h, one number at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starloom.engine.layouts import (
    KINDS,
    Groups,
    bf16_bits,
    block_bytes,
    from_bf16_bits,
    matrix_bytes,
    pack_bf16,
    pack_floats,
    pack_groups,
    unpack,
    unpack_groups,
)

ROWS, COLUMNS = st.integers(1, 40), st.sampled_from([64, 128, 320])


def random_groups(kind: str, rows: int, columns: int, seed: int) -> Groups:
    rng = np.random.default_rng(seed)
    scale, minimum = (rng.normal(0, 1, (rows, columns // 32)).astype(np.float16) for _ in range(2))
    if kind == "q8":
        return Groups("q8", rng.integers(-128, 128, (rows, columns), np.int8), scale)
    numbers = rng.integers(0, 16, (rows, columns), np.uint8)
    return Groups("q4", numbers, scale) if kind == "q4" else Groups("q4m", numbers, scale, minimum)


def packed_floats(values: np.ndarray, kind: str) -> np.ndarray:
    return pack_floats(values) if kind == "f32" else pack_bf16(bf16_bits(values))


@pytest.mark.parametrize(("kind", "size"), [("f32", 4096), ("bf16", 2048), ("q8", 1088), ("q4", 576), ("q4m", 640)])
def test_sizes(kind: str, size: int) -> None:
    assert block_bytes(kind) == size
    assert matrix_bytes(kind, 17, 128) == 2 * 2 * size


@pytest.mark.parametrize("kind", ["q8", "q4", "q4m"])
@given(rows=ROWS, columns=COLUMNS, seed=st.integers(0, 99))
def test_whole_numbers_come_back(kind: str, rows: int, columns: int, seed: int) -> None:
    groups = random_groups(kind, rows, columns, seed)
    data = pack_groups(groups)
    assert len(data) == matrix_bytes(groups.kind, rows, columns)
    again = unpack_groups(data, groups.kind, rows, columns)
    for name in ("numbers", "scale", "minimum"):
        np.testing.assert_array_equal(getattr(again, name), getattr(groups, name))


@pytest.mark.parametrize("kind", KINDS)
@given(rows=ROWS, columns=COLUMNS, seed=st.integers(0, 99))
def test_each_number_is_where_the_header_says(kind: str, rows: int, columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1, (rows, columns)).astype(np.float32)
    groups = random_groups(kind, rows, columns, seed) if kind.startswith("q") else None
    data = packed_floats(values, kind) if groups is None else pack_groups(groups)
    expected = {"f32": values, "bf16": from_bf16_bits(bf16_bits(values))}.get(kind)
    expected = groups.floats() if expected is None else expected
    whole = unpack(data, kind, rows, columns)
    np.testing.assert_array_equal(whole, expected)
    row, column = int(rng.integers(rows)), int(rng.integers(columns))
    assert at(data, kind, row, column, columns) == whole[row, column]


def at(data: np.ndarray, kind: str, row: int, column: int, columns: int) -> np.float32:
    """One number, by the words of matrix.h."""
    block = (row // 16 * (columns // 64) + column // 64) * block_bytes(kind)
    lane, k = row % 16, column % 64
    group, i = k // 32, k % 32

    def half(start: int) -> np.float32:
        return np.float32(data[block + start :][:2].view(np.float16)[0])

    if kind == "f32":
        return data[block + 4 * (16 * k + lane) :][:4].view(np.float32)[0]
    if kind == "bf16":
        return from_bf16_bits(data[block + 2 * (32 * (k // 2) + 2 * lane + k % 2) :][:2].view(np.uint16))[0]
    if kind == "q8":
        number = data[block + 512 * group + 64 * (i // 4) + 4 * lane + i % 4 :][:1].view(np.int8)[0]
        return half(1024 + 2 * (16 * group + lane)) * np.float32(number)
    byte = data[block + 256 * group + 64 * (i // 8) + 4 * lane + i % 4]
    number = np.float32(byte >> 4 if i % 8 >= 4 else byte & 15)
    scale = half(512 + 2 * (16 * group + lane))
    return scale * (number - 8) if kind == "q4" else scale * number + half(576 + 2 * (16 * group + lane))


@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_fill_the_last_stripe_are_zero(kind: str) -> None:
    values = np.ones((5, 64), np.float32)
    data = pack_groups(random_groups(kind, 5, 64, 1)) if kind.startswith("q") else packed_floats(values, kind)
    assert not unpack(data, kind, 16, 64)[5:].any()


@pytest.mark.parametrize("kind", KINDS)
@given(rows=ROWS, columns=COLUMNS, seed=st.integers(0, 99))
def test_the_native_core_reads_the_same(kind: str, rows: int, columns: int, seed: int) -> None:
    from starloom.engine import _native

    values = np.random.default_rng(seed).normal(0, 1, (rows, columns)).astype(np.float32)
    data = pack_groups(random_groups(kind, rows, columns, seed)) if kind.startswith("q") else packed_floats(values, kind)
    np.testing.assert_allclose(_native.unpack(data, kind, rows, columns), unpack(data, kind, rows, columns), rtol=3e-7, atol=1e-6)


@given(st.integers(0, 2**32 - 1))
def test_bf16_rounds_to_the_nearest_even(bits: int) -> None:
    import torch

    value = np.array([bits], np.uint32).view(np.float32)
    theirs = torch.from_numpy(value.copy()).bfloat16().float().numpy()
    np.testing.assert_array_equal(from_bf16_bits(bf16_bits(value)), theirs)
