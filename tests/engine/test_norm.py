"""The native LayerNorm against its twin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twins.norm import layer_norm

from starloom.engine import _native


@given(rows=st.integers(0, 6), size=st.integers(1, 200), scale=st.sampled_from([1e-3, 1.0, 1e3]), seed=st.integers(0, 99))
def test_equals_its_twin(rows: int, size: int, scale: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    x = (scale * generator.normal(1.0, 1.0, (rows, size))).astype(np.float32)
    weight, bias = generator.normal(size=(2, size)).astype(np.float32)
    np.testing.assert_allclose(_native.layer_norm(x, weight, bias, 1e-5), layer_norm(x, weight, bias, 1e-5), rtol=2e-4, atol=2e-5)


def test_a_constant_row_becomes_the_bias() -> None:
    bias = np.arange(5, dtype=np.float32)
    np.testing.assert_array_equal(_native.layer_norm(np.full((1, 5), 3, np.float32), np.ones(5, np.float32), bias, 1e-5)[0], bias)


@pytest.mark.parametrize(("size", "weight", "bias"), [(4, 3, 4), (4, 4, 5), (0, 0, 0)])
def test_sizes_that_differ_are_refused(size: int, weight: int, bias: int) -> None:
    with pytest.raises(ValueError, match="must be equal and not 0"):
        _native.layer_norm(np.zeros((1, size), np.float32), np.zeros(weight, np.float32), np.zeros(bias, np.float32), 1e-5)
