from __future__ import annotations

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType
from weight_files import raw_tensor

from starloom.core.errors import FormatError
from starloom.engine.layouts import bf16_bits
from starloom.engine.stored import KIND_OF, Stored

EXACT = ("Q8_0", "Q4_0", "Q4_1")


def random_tensor(kind: str) -> Stored:
    return Stored("some", kind, (6, 512), raw_tensor(np.random.default_rng(3), kind, (6, 512)))


@pytest.mark.parametrize("kind", KIND_OF)
def test_values_are_those_of_the_gguf_package(kind: str) -> None:
    tensor = random_tensor(kind)
    np.testing.assert_array_equal(tensor.floats(), gguf.dequantize(tensor.data, GGMLQuantizationType[kind]))


@pytest.mark.parametrize("kind", EXACT)
def test_whole_numbers_are_exact(kind: str) -> None:
    tensor = random_tensor(kind)
    groups = tensor.groups()
    assert groups is not None
    assert groups.kind == KIND_OF[kind]
    np.testing.assert_allclose(groups.floats(), tensor.floats(), rtol=2e-7, atol=1e-9)


def test_q4_k_loses_only_the_bits_of_its_products() -> None:
    tensor = random_tensor("Q4_K")
    groups = tensor.groups()
    assert groups is not None
    assert groups.kind == "q4m"
    assert groups.minimum is not None
    half_a_step = (15 * np.abs(groups.scale) + np.abs(groups.minimum)).astype(np.float32).repeat(32, axis=1) * 2.0**-11
    assert (np.abs(groups.floats() - tensor.floats()) <= half_a_step).all()
    assert np.abs(groups.floats() - tensor.floats()).max() > 0


@pytest.mark.parametrize("kind", [kind for kind in KIND_OF if kind not in (*EXACT, "Q4_K")])
def test_other_formats_have_no_whole_numbers(kind: str) -> None:
    assert random_tensor(kind).groups() is None


@pytest.mark.parametrize("kind", KIND_OF)
def test_numbers_that_are_not_finite_are_refused(kind: str) -> None:
    tensor = random_tensor(kind)
    tensor.data[2, :] = 0xFF
    readers = [tensor.floats] if random_tensor(kind).groups() is None else [tensor.floats, tensor.groups]
    for read in readers:
        with pytest.raises(FormatError, match="tensor 'some' holds numbers that are not finite"):
            read()


@pytest.mark.parametrize("kind", KIND_OF)
def test_bf16_is_the_values_rounded(kind: str) -> None:
    tensor = random_tensor(kind)
    np.testing.assert_array_equal(tensor.bf16(), bf16_bits(tensor.floats()))
    tensor.data[1, :] = 0xFF
    with pytest.raises(FormatError, match="not finite"):
        tensor.bf16()


def test_rows_are_views() -> None:
    tensor = random_tensor("Q4_0")
    some = tensor.rows(2, 4)
    assert some.shape == (2, 512)
    assert np.shares_memory(some.data, tensor.data)
    np.testing.assert_array_equal(some.floats(), tensor.floats()[2:4])
