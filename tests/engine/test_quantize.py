from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from weight_files import config, contract, write_gguf

from starloom.contract import Contract
from starloom.contract.gguf_model import gguf_name
from starloom.core.errors import FormatError, InputError, SettingsError
from starloom.engine.quantize import TARGETS, Target, quantize
from starloom.engine.sources import open_source
from starloom.model import StarCoder2

LIMITS = {"q4": 0.12, "q4_1": 0.1, "q8": 0.009, "bf16": 3e-3, "f16": 3e-4, "f32": 0.0}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    found = StarCoder2(config(tied=False), seed=1)
    with torch.no_grad():
        for tensor in found.parameters():
            tensor.normal_(0, 0.1)
    found.save(tmp_path / "model", contract=contract())
    return tmp_path / "model"


def some_texts() -> list[list[int]]:
    return [np.random.default_rng(seed).integers(0, 320, 60).tolist() for seed in range(8)]


@pytest.mark.parametrize("calibrated", [False, True])
@pytest.mark.parametrize("to", TARGETS)
def test_pytorch_and_the_engine_open_what_is_written(model: Path, tmp_path: Path, to: str, calibrated: bool) -> None:
    quantize(model, tmp_path / "out.gguf", to, some_texts() if calibrated else ())
    before, after = StarCoder2.open(model), StarCoder2.open(tmp_path / "out.gguf")
    assert after.config == before.config
    assert Contract.of(tmp_path / "out.gguf").to_json() == contract().to_json()
    source = open_source(tmp_path / "out.gguf")
    for name, tensor in before.state_dict().items():
        found = after.state_dict()[name]
        limit = LIMITS["q8" if name in ("model.embed_tokens.weight", "lm_head.weight") and to.startswith("q4") else to]
        error = (found - tensor).norm() / tensor.norm()
        assert error <= (limit * (2 if calibrated else 1) if tensor.dim() == 2 else 0), name
        np.testing.assert_array_equal(source.tensors[name].floats(), found.numpy())


@pytest.mark.parametrize(("to", "target"), TARGETS.items())
def test_the_gguf_package_sees_what_llama_cpp_needs(model: Path, tmp_path: Path, to: str, target: Target) -> None:
    quantize(model, tmp_path / "out.gguf", to)
    reader = gguf.GGUFReader(tmp_path / "out.gguf")
    seen = {name: field.contents() for name, field in reader.fields.items()}
    assert seen["general.file_type"] == target.file_type
    assert seen["general.quantization_version"] == 2
    ids = {key: seen[f"tokenizer.ggml.fim_{key}_token_id"] for key in ("pre", "suf", "mid", "pad", "rep", "sep")}
    assert ids == {"pre": 1, "mid": 2, "suf": 3, "pad": 4, "rep": 5, "sep": 6}
    assert seen["starloom.contract"] == contract().to_json()
    kinds = {tensor.name: tensor.tensor_type.name for tensor in reader.tensors}
    assert kinds.keys() == {gguf_name(name) for name in StarCoder2.open(model).shapes()}
    assert kinds["token_embd.weight"] == kinds["output.weight"] == target.outer.name
    assert kinds["blk.1.ffn_down.weight"] == target.layers.name
    assert {kind for name, kind in kinds.items() if "norm" in name or name.endswith("bias")} == {"F32"}


@pytest.mark.parametrize(("kind", "to"), [("Q8_0", "q8"), ("Q4_0", "q4"), ("Q4_1", "q4_1"), ("BF16", "bf16"), ("F16", "f16")])
def test_what_has_the_bits_already_is_copied(tmp_path: Path, kind: str, to: str) -> None:
    outer = "Q8_0" if kind.startswith("Q4") else kind
    values = write_gguf(
        tmp_path / "model.gguf", config(tied=False), lambda name: outer if "embed" in name or "head" in name else kind
    )
    quantize(tmp_path / "model.gguf", tmp_path / "out.gguf", to)
    for name, stored in open_source(tmp_path / "out.gguf").tensors.items():
        np.testing.assert_array_equal(stored.floats(), values[name], name)


def test_calibration_brings_outputs_nearer(model: Path, tmp_path: Path) -> None:
    texts = some_texts()
    quantize(model, tmp_path / "plain.gguf", "q4")
    quantize(model, tmp_path / "calibrated.gguf", "q4", texts)
    assert (tmp_path / "plain.gguf").stat().st_size == (tmp_path / "calibrated.gguf").stat().st_size
    truth, ids = StarCoder2.open(model), torch.tensor(texts)
    with torch.no_grad():
        wanted = truth(ids)
        errors = [(StarCoder2.open(tmp_path / f"{name}.gguf")(ids) - wanted).norm().item() for name in ("plain", "calibrated")]
    assert errors[1] < 0.9 * errors[0]


def test_what_cannot_be_written_is_said(model: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="'to' is 'q3'; it must be one of q4, q4_1, q8, bf16, f16, f32"):
        quantize(model, tmp_path / "out.gguf", "q3")
    with pytest.raises(InputError, match="there is no model directory"):
        quantize(tmp_path / "none", tmp_path / "out.gguf")
    write_gguf(tmp_path / "model.gguf", config(), lambda name: "F32")
    with pytest.raises(InputError, match="is the model itself: name another file"):
        quantize(tmp_path / "model.gguf", tmp_path / "model.gguf")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "model.gguf"]


@pytest.mark.parametrize(("to", "message"), [("q4", "cannot be rounded"), ("f16", "too large for 16 bits")])
def test_weights_that_are_too_large_are_named(model: Path, tmp_path: Path, to: str, message: str) -> None:
    large = StarCoder2.open(model)
    with torch.no_grad():
        large.model.layers[1].mlp.c_fc.weight[3, 5] = 1e20
    large.save(model, contract=contract(), replace=True)
    with pytest.raises(FormatError, match=rf"tensor 'model.layers.1.mlp.c_fc.weight' cannot be rounded.*{message}|{message}"):
        quantize(model, tmp_path / "out.gguf", to)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
