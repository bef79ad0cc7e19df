"""Packed matrices and their products, for every kind and instruction set, against the numpy twin."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from instruction_sets import using
from twins import multiply as twin

from starloom.engine import _native
from starloom.engine.layouts import KINDS, STRIPE, U8, Kind, matrix_bytes, unpack

F32 = npt.NDArray[np.float32]
ISAS = _native.available_isas()
WHOLE: tuple[Kind, ...] = ("q8", "q4", "q4m")
EPILOGUES = ("store", "gelu", "add")
THREADS = {count: _native.Threads(count) for count in (1, 2, 3)}

isas = pytest.mark.parametrize("isa", ISAS)
kinds = pytest.mark.parametrize("kind", KINDS)


def random(seed: int, rows: int, columns: int, scale: float = 1) -> F32:
    return (np.random.default_rng(seed).standard_normal((rows, columns)) * scale).astype(np.float32)


def packed(kind: Kind, rows: int, columns: int, seed: int = 0) -> U8:
    return _native.pack(random(seed, rows, columns, 0.05), kind, THREADS[1])


def product(
    isa: str,
    kind: Kind,
    data: U8,
    x: F32,
    rows: int,
    bias: F32 | None = None,
    epilogue: str = "store",
    y: F32 | None = None,
    threads: int = 1,
) -> F32:
    y = np.full((len(x), rows), np.nan, np.float32) if y is None else y.copy()
    with using(isa):
        _native.multiply(data, kind, rows, x.shape[1], x, bias, epilogue, y, THREADS[threads])
    return y


@isas
@kinds
@given(
    rows=st.integers(1, 130),
    blocks=st.integers(1, 17),
    count=st.one_of(st.integers(0, 12), st.integers(30, 36), st.sampled_from([128, 131])),
    epilogue=st.sampled_from(EPILOGUES),
    biased=st.booleans(),
    threads=st.sampled_from([1, 2]),
    seed=st.integers(0, 99),
)
def test_products_are_the_twin_s(
    isa: str, kind: Kind, rows: int, blocks: int, count: int, epilogue: str, biased: bool, threads: int, seed: int
) -> None:
    columns = 64 * blocks
    data, x = packed(kind, rows, columns, seed), random(seed + 1, count, columns)
    bias = random(seed + 2, 1, rows)[0] if biased else None
    before = random(seed + 3, count, rows)
    after = product(isa, kind, data, x, rows, bias, epilogue, before, threads)
    truth = twin.multiply(data, kind, rows, columns, x, bias, epilogue, before)
    assert (np.abs(after - truth.values) <= truth.slack).all()


@isas
@kinds
def test_a_row_does_not_depend_on_its_neighbours_or_threads(isa: str, kind: Kind) -> None:
    """Else a text would change with what else is in the batch."""
    rows, columns = 112, 960
    data, x = packed(kind, rows, columns), random(5, 150, columns)
    together = product(isa, kind, data, x, rows)
    for count in (1, 2, 3, 4, 5, 7, 16, 32, 33, 128, 129):
        for threads in (1, 3):
            some = product(isa, kind, data, x[-count:].copy(), rows, threads=threads)
            assert some.tobytes() == together[-count:].tobytes(), (count, threads)


@pytest.mark.parametrize("kind", WHOLE)
def test_vector_instruction_sets_agree_to_the_bit(kind: Kind) -> None:
    data, x = packed(kind, 70, 1088), random(6, 13, 1088)
    results = {product(isa, kind, data, x, 70).tobytes() for isa in ISAS if isa != "generic"}
    assert len(results) <= 1


@isas
@pytest.mark.parametrize("kind", WHOLE)
def test_extreme_numbers_do_not_overflow(isa: str, kind: Kind) -> None:
    columns, signs = 512, np.where(np.arange(512) % 3 == 0, 1, -1)
    weights = np.stack([np.ones(columns), -np.ones(columns), signs, -signs]).astype(np.float32) * np.float32(0.996)
    data = _native.pack(weights, kind, THREADS[1])
    if kind == "q8":
        data = data.copy()
        numbers = data[: 2 * 8 * 16 * 4].view(np.int8)
        numbers[numbers == -127] = -128  # which files may hold
    x = np.stack([np.ones(columns), -np.ones(columns), signs]).astype(np.float32) * np.float32(127)
    truth = twin.multiply(data, kind, 4, columns, x, None, "store", np.zeros((3, 4), np.float32))
    assert (np.abs(product(isa, kind, data, x, 4) - truth.values) <= truth.slack).all()


@isas
@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("factor", [0.0, 1e-36, 1e-12, 1e20])
def test_inputs_of_any_size(isa: str, kind: Kind, factor: float) -> None:
    data, x = packed(kind, 20, 128), random(7, 5, 128) * np.float32(factor)
    truth = twin.multiply(data, kind, 20, 128, x, None, "store", np.zeros((5, 20), np.float32))
    assert (np.abs(product(isa, kind, data, x, 20) - truth.values) <= truth.slack).all()


@isas
@kinds
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_shows_in_its_own_row(isa: str, kind: Kind, bad: float) -> None:
    data, x = packed(kind, 20, 128), random(8, 6, 128)
    good = product(isa, kind, data, x, 20)
    x[2, 70] = bad
    spoilt = product(isa, kind, data, x, 20)
    assert not np.isfinite(spoilt[2]).any()
    assert np.delete(spoilt, 2, 0).tobytes() == np.delete(good, 2, 0).tobytes()


@isas
def test_gelu_everywhere(isa: str) -> None:
    z = np.concatenate([np.linspace(-12, 12, 4801), [-1e30, -1e4, -100, 100, 1e4, 1e30]]).astype(np.float32)
    data = _native.pack(np.zeros((len(z), 64), np.float32), "f32", THREADS[1])
    y = product(isa, "f32", data, np.ones((1, 64), np.float32), len(z), z, "gelu")[0]
    with np.errstate(over="ignore"):
        truth = twin.gelu(z.astype(np.float64))
    assert (np.abs(y - truth) <= 1e-6 * np.maximum(1, np.abs(truth))).all()


@pytest.mark.parametrize(("outliers", "most"), [(0, 0.0085), (4, 0.018)])
@pytest.mark.parametrize("kind", WHOLE)
def test_eight_bit_activations_lose_little(kind: Kind, outliers: int, most: float) -> None:
    """Error against exact inputs, relative to the outputs, on Gaussian data; `outliers` inputs are 30 times as large."""
    columns, rows = 3072, 64
    data, x = packed(kind, rows, columns), random(9, 16, columns)
    x[:, : outliers * 700 : 700] *= 30
    exact = x.astype(np.float64) @ unpack(data, kind, rows, columns).astype(np.float64).T
    error = product(ISAS[-1], kind, data, x, rows) - exact
    assert np.sqrt((error**2).mean() / (exact**2).mean()) < most


@kinds
@given(rows=st.integers(1, 40), blocks=st.integers(1, 5), seed=st.integers(0, 99), scale=st.sampled_from([0.0, 1e-9, 0.02, 300]))
def test_packing_is_the_twin_s(kind: Kind, rows: int, blocks: int, seed: int, scale: float) -> None:
    weights = random(seed, rows, 64 * blocks, scale) + np.float32(0)  # no zeros with a sign
    data = _native.pack(weights, kind, THREADS[2])
    assert data.tobytes() == twin.pack(weights, kind).tobytes()
    assert _native.unpack(data, kind, rows, 64 * blocks).tobytes() == unpack(data, kind, rows, 64 * blocks).tobytes()


@kinds
def test_rows_that_fill_the_last_stripe_are_zero(kind: Kind) -> None:
    data = packed(kind, 5, 64)
    assert not unpack(data, kind, STRIPE, 64)[5:].any()


def test_packing_refuses_what_has_no_scale() -> None:
    for bad in (1e9, np.nan, np.inf):
        weights = np.full((3, 64), bad, np.float32)
        for kind in WHOLE[:2]:
            with pytest.raises(ValueError, match="too large for a scale of 16 bits"):
                _native.pack(weights, kind, THREADS[1])


def arguments(**changes: Any) -> tuple[Any, ...]:
    good: dict[str, Any] = {
        "data": packed("q4", 20, 128),
        "kind": "q4",
        "rows": 20,
        "columns": 128,
        "x": random(1, 3, 128),
        "bias": np.zeros(20, np.float32),
        "epilogue": "store",
        "y": np.zeros((3, 20), np.float32),
        "threads": THREADS[1],
    }
    return tuple((good | changes).values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "q5"}, "no kind 'q5'"),
        ({"kind": "q8"}, "takes"),
        ({"data": np.zeros(matrix_bytes("q4", 20, 128) - 1, np.uint8)}, "takes 2304"),
        ({"rows": 40}, "takes"),
        ({"rows": -1}, "-1 rows"),
        ({"rows": 1 << 60}, "rows; there may be"),
        ({"columns": 100}, "multiple of 64"),
        ({"columns": 0}, "multiple of 64"),
        ({"x": random(1, 3, 64)}, "x is 3 x 64"),
        ({"x": random(1, 4, 128)}, "x is 4 x 128"),
        ({"y": np.zeros((3, 19), np.float32)}, "3 x 19"),
        ({"bias": np.zeros(21, np.float32)}, "bias has 21"),
        ({"epilogue": "relu"}, "no epilogue 'relu'"),
    ],
)
def test_wrong_arguments_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _native.multiply(*arguments(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"x": random(1, 3, 256)[:, ::2]},
        {"x": np.zeros((3, 128))},
        {"y": np.zeros((20, 3), np.float32).T},
        {"y": np.zeros((3, 20), np.float16)},
        {"data": np.zeros(2304, np.int8)},
        {"bias": np.zeros((20, 1), np.float32)},
    ],
)
def test_arrays_of_another_type_or_order_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        _native.multiply(*arguments(**changes))


def test_a_result_that_may_not_be_written_is_refused() -> None:
    y = np.zeros((3, 20), np.float32)
    y.flags.writeable = False
    with pytest.raises(TypeError):
        _native.multiply(*arguments(y=y))


def test_an_instruction_set_must_exist() -> None:
    with pytest.raises(ValueError, match="no instruction set 'mmx'"):
        _native.force_isa("mmx")
    for missing in {"generic", "avx2", "avx512", "vnni"} - set(ISAS):
        with pytest.raises(ValueError, match="lacks the instructions"):
            _native.force_isa(missing)


@isas
def test_limits_are_measured(isa: str) -> None:
    with using(isa):
        for measure in (_native.int8_peak, _native.bf16_peak, _native.f32_peak):
            assert 1e6 < measure(THREADS[1]) < 1e15
    assert 1e6 < _native.read_bandwidth(np.ones(10_000_001, np.uint8), THREADS[2]) < 1e15
    assert _native.read_bandwidth(np.zeros(0, np.uint8), THREADS[1]) == 0
