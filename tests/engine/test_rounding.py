from __future__ import annotations

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType
from hypothesis import given
from hypothesis import strategies as st

from starloom.engine.calibration import Moments
from starloom.engine.feedback import rounded_with_feedback
from starloom.engine.rounding import best_scale, relative, rounded

BITS = {"q8": 0.0042, "q4": 0.072, "q4m": 0.065}
"""The largest relative error over evenly spread weights."""


def weights(rows: int = 48, columns: int = 256, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32) * np.float32(0.02)


def error(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


@pytest.mark.parametrize("kind", BITS)
@given(
    rows=st.integers(1, 5),
    columns=st.sampled_from([64, 192]),
    seed=st.integers(0, 999),
    size=st.floats(1e-3, 1e3),
    shift=st.floats(-1, 1),
)
def test_no_number_is_far_from_its_weight(kind: str, rows: int, columns: int, seed: int, size: float, shift: float) -> None:
    values = ((np.random.default_rng(seed).uniform(-1, 1, (rows, columns)) + shift) * size).astype(np.float32)
    groups = rounded(values, kind)
    assert groups.numbers.shape == values.shape
    assert groups.scale.shape == (rows, columns // 32)
    reach = np.abs(values).reshape(rows, -1, 32).max(axis=-1)
    steps = {"q8": 127, "q4": 7, "q4m": 7}[kind]
    off = np.abs(groups.floats() - values).reshape(rows, -1, 32).max(axis=-1)
    assert (off <= 1.2 * reach / steps + 1e-6 * size).all()


@pytest.mark.parametrize(("kind", "theirs"), [("q8", "Q8_0"), ("q4", "Q4_0"), ("q4m", "Q4_1")])
def test_it_loses_less_than_plain_rounding(kind: str, theirs: str) -> None:
    values = weights()
    plain = gguf.dequantize(gguf.quantize(values, GGMLQuantizationType[theirs]), GGMLQuantizationType[theirs])
    gain = {"q8": 1.001, "q4": 0.95, "q4m": 0.95}[kind]
    assert error(rounded(values, kind).floats(), values) < gain * error(plain, values)


@pytest.mark.parametrize("kind", BITS)
@pytest.mark.parametrize("value", [0.0, 0.5, -3.0])
def test_constant_groups_are_kept(kind: str, value: float) -> None:
    values = np.full((3, 64), value, np.float32)
    np.testing.assert_allclose(rounded(values, kind).floats(), values, rtol=1e-3)


@pytest.mark.parametrize("kind", BITS)
@pytest.mark.parametrize("value", [1e30, np.inf, np.nan])
def test_what_a_scale_cannot_hold_is_refused(kind: str, value: float) -> None:
    values = weights(2, 64)
    values[1, 40] = value
    with pytest.raises(OverflowError, match="too large for a scale of 16 bits, or not a number"):
        rounded(values, kind)


def test_scales_are_near_the_best_of_all() -> None:
    rng = np.random.default_rng(6)
    values, importance = rng.standard_normal((32, 300)).astype(np.float32), rng.random((32, 300)).astype(np.float32)

    def loss(scale: np.ndarray) -> np.ndarray:
        codes = np.rint(values / scale).clip(-8, 7)
        return (importance * (values - scale * codes) ** 2).sum(axis=0)

    reach = np.abs(values).max(axis=0)
    best = np.min([loss(sign * reach / end) for end in np.linspace(5, 11, 200) for sign in (1, -1)], axis=0)
    found = loss(best_scale(values, importance).astype(np.float32))
    assert found.sum() < 1.1 * best.sum()
    assert (found < 2 * best).all()


def test_shares_of_importance() -> None:
    shares = relative(np.array([0.0] * 32 + [2.0] * 16 + [6.0] * 16, np.float32))
    np.testing.assert_allclose(shares[[0, 32, 63]], [1.001, 0.501, 1.501], rtol=1e-6)


@pytest.mark.parametrize("columns", [256, 2048 + 64])
@pytest.mark.parametrize("kind", ["q4", "q4m"])
def test_feedback_disturbs_outputs_less(kind: str, columns: int) -> None:
    """Inputs that go together, as in a model, and some that never occur."""
    rng = np.random.default_rng(4)
    values = weights(24, columns)
    inputs = rng.standard_normal((600, 40)) @ rng.standard_normal((40, columns)) + 0.2 * rng.standard_normal((600, columns))
    inputs = inputs.astype(np.float32)
    inputs[:, 5:9] = 0
    moments = Moments(columns)
    moments.add(inputs)
    wanted = inputs @ values.T
    plain = error(inputs @ rounded(values, kind).floats().T, wanted)
    fed = rounded_with_feedback(values, kind, moments)
    assert fed.kind == kind
    assert error(inputs @ fed.floats().T, wanted) < 0.6 * plain
    assert error(fed.floats(), values) < 0.25
