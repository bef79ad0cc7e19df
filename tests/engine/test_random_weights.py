from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from weight_files import config

from starloom.core.errors import FormatError, InputError, SettingsError
from starloom.engine import memory
from starloom.engine.layouts import KINDS, unpack
from starloom.engine.random_weights import random_packed


@pytest.mark.parametrize("kind", KINDS)
def test_weights_have_the_spread_of_the_configuration(kind: str) -> None:
    model = random_packed("debug", kind)
    for name in ("embedding", "layers.1.qkv", "layers.0.proj"):
        weights = model.floats(name)
        assert abs(weights.std() / model.config.initializer_range - 1) < 0.1
        assert np.abs(weights).max() > 1.5 * weights.std()
    assert (model.floats("layers.1.input_norm.weight") == 1).all()
    assert not model.floats("layers.1.input_norm.bias").any()
    assert not model.floats("layers.0.fc.bias").any()


@pytest.mark.parametrize("kind", KINDS)
def test_rows_beyond_the_last_are_zero(kind: str) -> None:
    settings = dataclasses.replace(config(), vocab_size=325, num_attention_heads=32, num_key_value_heads=1)
    model = random_packed(settings, kind)
    for name in ("embedding", "layers.1.qkv"):
        tensor = model.tensors[name]
        assert tensor.rows % 16
        whole = unpack(model.bytes_of(name), tensor.kind, -(-tensor.rows // 16) * 16, tensor.columns)
        assert whole[tensor.rows - 1].any()
        assert not whole[tensor.rows :].any()


def test_the_seed_decides_and_a_file_holds_the_same(tmp_path: Path) -> None:
    one, same, other = (random_packed("debug", "q4", seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.data, same.data)
    assert (one.data != other.data).any()
    filed = random_packed("debug", "q4", 1, tmp_path / "random.starpack")
    np.testing.assert_array_equal(filed.data, one.data)
    assert filed.tensors == one.tensors
    assert filed.source is None


def test_what_cannot_be_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="no preset '70b'"):
        random_packed("70b")
    with pytest.raises(FormatError, match="hidden_size is 96"):
        random_packed(config(hidden=96))
    monkeypatch.setattr(memory, "available_memory", lambda: 10**9)
    with pytest.raises(InputError, match=r"15,957,889,024 parameters needs 9\.\d+ GB of memory; 1.00 GB are free"):
        random_packed("15b")
