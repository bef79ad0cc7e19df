"""NativeCore against the numpy twin and the PyTorch model: chunks, several texts in a step, windows, kinds of weights."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from instruction_sets import using
from packed_models import WINDOW, packed, random_model, small_config, weights_of, with_weights_of
from twins import decoder

from starloom.core.errors import FormatError, InputError, SettingsError
from starloom.engine import _native
from starloom.engine.core import PAGE, Part
from starloom.engine.layouts import Kind
from starloom.engine.native_core import NativeCore, usable_cores
from starloom.engine.packed import PackedModel

F32 = npt.NDArray[np.float32]
ISAS = _native.available_isas()
IDS = [int(i) for i in np.random.default_rng(3).integers(0, 301, 150)]


@cache
def model_of(quant: Kind, tied: bool = True) -> PackedModel:
    return packed(random_model(small_config(tie_word_embeddings=tied)), quant)


@cache
def twin_logits(tied: bool = True) -> Any:
    model = model_of("f32", tied)
    return decoder.logits(IDS, model.config, weights_of(model))


@cache
def torch_logits(quant: Kind) -> F32:
    with torch.no_grad():
        return with_weights_of(model_of(quant))(torch.tensor([IDS]))[0].numpy()


@dataclass
class Text:
    """How much of IDS is in a core's pages, and in which."""

    core: NativeCore
    pages: Iterator[int]
    length: int = 0
    table: list[int] = field(default_factory=list)

    def part(self, count: int, num_logits: int) -> Part:
        position, self.length = self.length, self.length + count
        while len(self.table) * PAGE < self.length:
            self.table.append(next(self.pages))
        for i in range(max(0, position - WINDOW + 1) // PAGE):
            self.table[i] = -1
        return Part(IDS[position : self.length], position, np.array(self.table, np.int32), num_logits)


def run(core: NativeCore, *counts: int) -> F32:
    """All logits of the first ids, in chunks."""
    text = Text(core, iter(range(core.num_pages)))
    return np.concatenate([core.step([text.part(count, count)]) for count in counts])


def kl(expected: F32, got: F32) -> float:
    p, q = (torch.from_numpy(np.asarray(x, np.float64)).log_softmax(-1) for x in (expected, got))
    return float((p.exp() * (p - q)).sum(-1).mean())


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("tied", [True, False])
def test_equals_the_numpy_twin_beyond_the_window(isa: str, tied: bool) -> None:
    with using(isa):
        logits = run(NativeCore(model_of("f32", tied), threads=2, wide=True), len(IDS))
    assert np.abs(logits - twin_logits(tied)).max() < 1e-4


@pytest.mark.parametrize("isa", ISAS)
def test_float32_with_wide_pages_equals_pytorch(isa: str) -> None:
    with using(isa):
        logits = run(NativeCore(model_of("f32"), threads=2, wide=True), len(IDS))
    assert np.abs(logits - torch_logits("f32")).max() < 1e-4


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("chunks", [(150,), (1,) * 100, (64, 1, 1, 1, 33)])
def test_bf16_is_near_pytorch(isa: str, chunks: tuple[int, ...]) -> None:
    with using(isa):
        logits = run(NativeCore(model_of("bf16"), threads=2), *chunks)
    expected = torch_logits("bf16")[: len(logits)]
    assert np.sqrt(((logits - expected) ** 2).mean() / (expected**2).mean()) < 2e-2


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("chunks", [(150,), (1,) * 100])
@pytest.mark.parametrize(("quant", "most"), [("q8", 1e-3), ("q4", 5e-3), ("q4m", 5e-3)])
def test_rounded_weights_are_near_pytorch_with_the_same(isa: str, chunks: tuple[int, ...], quant: Kind, most: float) -> None:
    with using(isa):
        logits = run(NativeCore(model_of(quant), threads=2), *chunks)
    assert kl(torch_logits(quant)[: len(logits)], logits) < most


@pytest.mark.parametrize("isa", ISAS)
@settings(max_examples=15)
@given(data=st.data(), threads=st.integers(1, 3))
def test_steps_of_several_texts_in_chunks_equal_whole_texts(isa: str, data: Any, threads: int) -> None:
    core = NativeCore(model_of("f32"), threads=threads, num_pages=24, wide=True)
    pages = iter(data.draw(st.permutations(range(24)), label="pages"))
    texts = [Text(core, pages) for _ in range(3)]
    for _ in range(data.draw(st.integers(1, 5), label="steps")):
        parts = []
        for text in texts:
            count = data.draw(st.integers(0, min(60, len(IDS) - text.length)), label="ids")
            if count:
                parts.append(text.part(count, data.draw(st.integers(0, count), label="logits")))
        with using(isa):
            logits = core.step(parts)
        rows = [r for part in parts for r in range(len(part.ids) - part.num_logits, len(part.ids))]
        starts = [part.position for part in parts for _ in range(part.num_logits)]
        assert logits.shape == (len(rows), 301)
        if rows:
            assert np.abs(logits - twin_logits()[np.add(rows, starts)]).max() < 1e-4


@pytest.mark.parametrize("isa", ISAS)
def test_a_copied_page_continues_a_text_and_the_first_stays(isa: str) -> None:
    core = NativeCore(model_of("f32"), threads=1, wide=True)
    with using(isa):
        first = Text(core, iter([3, 5, 7]))
        core.step([first.part(40, 0)])
        core.copy_page(5, 9)
        fork = Part([IDS[0]] * 3, 37, np.array([3, 9], np.int32), 3)
        core.step([fork])
        logits = core.step([first.part(5, 5)])
    assert np.abs(logits - twin_logits()[40:45]).max() < 1e-4


def test_no_rows_wanted_gives_none_and_no_parts_is_no_step() -> None:
    core = NativeCore(model_of("f32"), threads=1)
    assert core.step([]).shape == (0, 301)
    assert core.step([Part([1, 2], 0, np.array([0], np.int32), 0)]).shape == (0, 301)


def test_what_it_says_of_itself() -> None:
    core = NativeCore(model_of("f32"), threads=2, num_pages=7)
    assert (core.vocab_size, core.max_positions, core.window) == (301, 256, WINDOW)
    assert (core.num_pages, core.num_threads, core.page_bytes) == (7, 2, 3 * 2 * 2 * 32 * 32 * 2)
    assert NativeCore(model_of("f32"), memory=10 * core.page_bytes + 1).num_pages == 10
    assert NativeCore(model_of("f32")).num_threads == usable_cores()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"threads": 0}, "'threads' is 0"),
        ({"threads": 5000}, "'threads' is 5000"),
        ({"num_pages": 0}, "'num_pages' is 0"),
        ({"num_pages": 1, "memory": 1}, "not both"),
        ({"memory": 5}, "'memory' is 5"),
    ],
)
def test_bad_options_are_refused(options: dict[str, int], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        NativeCore(model_of("f32"), **options)


def test_more_pages_than_memory_are_refused() -> None:
    with pytest.raises(InputError, match="pages would fit"):
        NativeCore(model_of("f32"), num_pages=2**31 - 1)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (Part([301], 0, np.array([0], np.int32)), r"ids\[0\] is 301"),
        (Part([-1], 0, np.array([0], np.int32)), r"ids\[0\] is -1"),
        (Part([1], -1, np.array([0], np.int32)), r"positions\[0\] is -1"),
        (Part([1], 32, np.array([0], np.int32)), "its positions need 2"),
        (Part([1], 0, np.array([8], np.int32)), "entry 0 in the table of part 0 is 8"),
        (Part([1], 40, np.array([-1, 0], np.int32)), "entry 0 in the table of part 0 is -1"),
        (Part([], 0, np.array([0], np.int32), 0), r"row_starts\[1\] is 0"),
        (Part([1], 0, np.array([0], np.int32), 2), "2 rows of logits"),
    ],
)
def test_bad_parts_are_refused(part: Part, words: str) -> None:
    core = NativeCore(model_of("f32"), threads=1, num_pages=8)
    with pytest.raises(ValueError, match=words):
        core.step([part])


def native_step(**changes: Any) -> F32:
    model = model_of("f32")
    native = _native.Model(model.data, model.native_config, model.native_tensors)
    good = {"ids": [1, 2], "row_starts": [0, 2], "positions": [0], "tables": [0], "table_starts": [0, 1], "logit_rows": [0, 1]}
    arrays = {name: np.array(values, np.int32) for name, values in (good | changes).items() if name != "pages"}
    pages = _native.Pages(*changes.get("pages", (3, 2, 32, 2)))
    return native.step(pages, **arrays, threads=_native.Threads(1))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"logit_rows": [2]}, r"logit_rows\[0\] is 2"),
        ({"logit_rows": [-1]}, r"logit_rows\[0\] is -1"),
        ({"logit_rows": [1, 1]}, "must ascend"),
        ({"row_starts": [0, 3]}, "row_starts ends with 3"),
        ({"row_starts": [0, 2, 1]}, "row_starts has 3 numbers"),
        ({"row_starts": []}, "row_starts has 0 numbers"),
        ({"pages": (2, 2, 32, 2)}, "pages are for 2 layers"),
        ({"pages": (3, 1, 32, 2)}, "of 1 heads"),
        ({"pages": (3, 2, 64, 2)}, "of 64"),
    ],
)
def test_bad_native_arguments_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        native_step(**changes)
    assert native_step().shape == (2, 301)


def changed(name: str, **fields: Any) -> PackedModel:
    model = model_of("f32")
    return dataclasses.replace(model, tensors={**model.tensors, name: dataclasses.replace(model.tensors[name], **fields)})


def without(name: str) -> PackedModel:
    model = model_of("f32")
    return dataclasses.replace(model, tensors={n: tensor for n, tensor in model.tensors.items() if n != name})


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (without("layers.1.qkv"), "'layers.1.qkv' is missing"),
        (without("norm.bias"), "'norm.bias' is missing"),
        (changed("layers.2.fc", rows=319), "'layers.2.fc' is 319 x 128; the configuration makes it 320 x 128"),
        (changed("layers.2.fc", kind="q5"), "'layers.2.fc': there is no kind 'q5'"),
        (changed("layers.2.fc", kind="vector"), "'layers.2.fc' is a vector"),
        (changed("norm.weight", kind="f32"), "'norm.weight' has kind 'f32'"),
        (changed("embedding", offset=-4096), "'embedding' takes 155648 bytes from -4096 on"),
        (changed("norm.bias", offset=2**62), "'norm.bias' takes 512 bytes"),
        (changed("layers.0.qkv", offset=model_of("f32").num_bytes - 64), "'layers.0.qkv' takes"),
        (changed("norm.bias", offset=2), "not at a multiple of 4"),
    ],
)
def test_tensors_that_do_not_fit_are_named(model: PackedModel, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        NativeCore(model)


def test_a_tensor_without_a_place_is_named() -> None:
    model = model_of("f32")
    tensors = {**model.native_tensors, "layers.3.fc": model.native_tensors["layers.2.fc"]}
    with pytest.raises(ValueError, match=r"'layers\.3\.fc' has no place"):
        _native.Model(model.data, model.native_config, tensors)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("hidden_size", 100, "'hidden_size' is 100"),
        ("hidden_size", 0, "'hidden_size' is 0"),
        ("intermediate_size", 2**31, "'intermediate_size' is 2147483648"),
        ("num_hidden_layers", -1, "'num_hidden_layers' is -1"),
        ("num_attention_heads", 3, "'num_key_value_heads' is 2"),
        ("num_key_value_heads", 5, "'num_key_value_heads' is 5"),
        ("head_dim", 40, "'head_dim' is 40"),
        ("vocab_size", 1.5, "'vocab_size' is 1.5"),
        ("vocab_size", float("nan"), "'vocab_size' is nan"),
        ("sliding_window", -1, "'sliding_window' is -1"),
        ("rope_theta", 0, "'rope_theta' is 0"),
        ("rope_theta", float("inf"), "'rope_theta' is inf"),
        ("norm_epsilon", -1, "'norm_epsilon' is -1"),
    ],
)
def test_bad_configurations_are_refused(name: str, value: float, words: str) -> None:
    model = model_of("f32")
    with pytest.raises(ValueError, match=words):
        _native.Model(model.data, {**model.native_config, name: value}, model.native_tensors)


def test_a_missing_field_is_named() -> None:
    model = model_of("f32")
    config = {name: value for name, value in model.native_config.items() if name != "head_dim"}
    with pytest.raises(ValueError, match="'head_dim' is missing"):
        _native.Model(model.data, config, model.native_tensors)


def test_the_weights_live_as_long_as_the_core() -> None:
    model = packed(random_model(small_config()), "f32")
    core = NativeCore(model, threads=1, wide=True)
    expected = run(core, 8)
    del model
    gc.collect()
    np.testing.assert_array_equal(run(core, 8), expected)
