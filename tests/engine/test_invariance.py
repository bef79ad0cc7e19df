"""A row's logits are the same to the last bit however its text is cut into steps, who else is in them, and with all threads.

Lossless guesses and seeds that hold whatever else is in the batch rest on that.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starloom.contract.presets import preset
from starloom.engine.core import PAGE, Part
from starloom.engine.packed_file import PackedModel
from starloom.engine.random_weights import random_packed

native = pytest.importorskip("starloom.engine._native", reason="the native module is not built")

from starloom.engine.native_core import NativeCore  # noqa: E402

LENGTH = 1200
IDS = [int(token) for token in np.random.default_rng(3).integers(0, 300, LENGTH)]
SHAPES = {"2 heads a group": (4, 2, 32), "3": (6, 2, 64), "9": (9, 1, 64), "12": (12, 1, 32)}  # heads, groups, head dimension


@cache
def model_of(shape: str, quant: str, window: int) -> PackedModel:
    heads, groups, dim = SHAPES[shape]
    sizes = {"hidden_size": heads * dim, "num_attention_heads": heads, "num_key_value_heads": groups}
    config = preset(
        *("debug",),
        **{**sizes, "num_hidden_layers": 2, "vocab_size": 300, "max_position_embeddings": 2048},
        **{"sliding_window": window, "initializer_range": 0.1},
    )
    return random_packed(config, quant)  # type: ignore[arg-type]


@cache
def whole(shape: str, quant: str, window: int) -> np.ndarray:
    """The logits of the text in one step by one thread."""
    core = NativeCore(model_of(shape, quant, window), threads=1, num_pages=LENGTH // PAGE + 1)
    return core.step([Part(IDS, 0, np.arange(-(-LENGTH // PAGE), dtype=np.int32), LENGTH)])


@settings(max_examples=20)
@given(
    st.sampled_from([*SHAPES]),
    st.sampled_from(["q8", "q4", "bf16", "f32"]),
    st.sampled_from([2048, 600]),
    st.integers(1, 3),
    st.lists(st.sampled_from([1, 1, 1, 2, 3, 5, 16, 33, 100, 400]), min_size=1, max_size=12),
    st.integers(1, LENGTH - 1),
    st.integers(0, 40),
)
def test_steps_company_and_threads_change_no_bit(
    shape: str, quant: str, window: int, threads: int, cuts: list[int], start: int, company: int
) -> None:
    core = NativeCore(model_of(shape, quant, window), threads=threads, num_pages=2 * (LENGTH // PAGE + 2))
    table = np.arange(LENGTH // PAGE + 1, dtype=np.int32)
    expected, place = whole(shape, quant, window), 0
    for count in [start, *cuts, LENGTH]:
        count = min(count, LENGTH - place)
        if not count:
            break
        parts = [Part(IDS[place : place + count], place, table[: -(-(place + count) // PAGE)], count)]
        if company:
            parts.insert(0, Part(IDS[7 : 7 + company], 0, table[: -(-company // PAGE)] + LENGTH // PAGE + 1, 1))
        logits = core.step(parts)[-count:]
        assert np.array_equal(logits, expected[place : place + count])
        place += count


@pytest.mark.parametrize("isa", native.available_isas())
def test_every_instruction_set(isa: str) -> None:
    before = native.current_isa()
    native.force_isa(isa)
    try:
        for shape in SHAPES:
            core = NativeCore(model_of(shape, "f32", 100), threads=2, num_pages=16)
            table = np.arange(5, dtype=np.int32)
            expected = core.step([Part(IDS[:150], 0, table, 150)])
            found = [
                core.step([Part(IDS[place : place + 3], place, table[: -(-(place + 3) // PAGE)], 3)])
                for place in range(0, 150, 3)
            ]
            assert np.array_equal(np.concatenate(found), expected)
    finally:
        native.force_isa(before)
