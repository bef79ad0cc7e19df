from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from weight_files import config, contract, write_gguf

from starloom.core.errors import FormatError, InputError, StarloomError
from starloom.engine.sources import files_of, open_source
from starloom.engine.stored import KIND_OF
from starloom.model import StarCoder2


def saved(path: Path, *, dtype: torch.dtype = torch.float32, tied: bool = True, shard_bytes: int = 10**9) -> StarCoder2:
    model = StarCoder2(config(tied=tied), seed=1)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.normal_(0, 0.1)
    model.save(path, contract=contract(), dtype=dtype, shard_bytes=shard_bytes)
    return model.to(dtype)


@pytest.mark.parametrize("shard_bytes", [10**9, 100_000])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_directories_hold_what_pytorch_saved(tmp_path: Path, dtype: torch.dtype, tied: bool, shard_bytes: int) -> None:
    model = saved(tmp_path / "model", dtype=dtype, tied=tied, shard_bytes=shard_bytes)
    source = open_source(tmp_path / "model")
    assert source.config == model.config
    assert source.tensors.keys() == model.shapes().keys()
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(source.tensors[name].floats(), tensor.float().numpy(), name)
    assert len(source.files) == (2 if shard_bytes > 10**6 else 2 + len(list((tmp_path / "model").glob("model-*"))))


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", KIND_OF)
def test_gguf_files_hold_what_was_written(tmp_path: Path, kind: str, tied: bool) -> None:
    settings = config(hidden=256, tied=tied)
    values = write_gguf(tmp_path / "model.gguf", settings, lambda name: kind)
    source = open_source(tmp_path / "model.gguf")
    assert source.config == settings
    for name, value in values.items():
        assert source.tensors[name].format == (kind if value.ndim == 2 else "F32")
        np.testing.assert_array_equal(source.tensors[name].floats(), value, name)


def test_a_tied_head_may_be_stored_if_it_is_the_embedding(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    saved(tmp_path / "model")
    weights = load_file(tmp_path / "model" / "model.safetensors")
    for head, good in ((weights["model.embed_tokens.weight"].clone(), True), (weights["model.embed_tokens.weight"] + 1, False)):
        save_file(weights | {"lm_head.weight": head}, tmp_path / "model" / "model.safetensors")
        if good:
            assert "lm_head.weight" not in open_source(tmp_path / "model").tensors
        else:
            refuses(tmp_path / "model", "'lm_head.weight' differs from 'model.embed_tokens.weight'")


def refuses(path: Path, message: str, error: type[StarloomError] = FormatError) -> None:
    with pytest.raises(error) as caught:
        open_source(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_what_the_engine_does_not_run_is_said(tmp_path: Path) -> None:
    refuses(tmp_path / "none", "there is no model directory", InputError)
    with pytest.raises(InputError, match="there is no model directory"):
        files_of(tmp_path / "none")
    saved(tmp_path / "model")
    content = json.loads((tmp_path / "model" / "config.json").read_text())
    write_gguf(tmp_path / "odd.gguf", config(hidden=96), lambda name: "F32")
    refuses(tmp_path / "odd.gguf", "hidden_size is 96; the engine runs models where it is a multiple of 64")
    write_gguf(tmp_path / "kind.gguf", config(), lambda name: "Q5_0" if name.endswith("layers.1.mlp.c_fc.weight") else "F32")
    refuses(tmp_path / "kind.gguf", "tensor 'model.layers.1.mlp.c_fc.weight' is stored as Q5_0; known are F32, F16, BF16, Q8_0")
    (tmp_path / "model" / "config.json").write_text(json.dumps(content | {"num_hidden_layers": 3}))
    refuses(tmp_path / "model", "missing 16 tensors ('model.layers.2.input_layernorm.weight'")
