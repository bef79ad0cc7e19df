from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from starloom.core.errors import SettingsError
from starloom.model import PRESETS, StarCoder2, StarCoder2Config
from starloom.model.presets import preset

DATA = Path(__file__).parent / "data"
COUNTS = {"3b": 3_030_371_328, "7b": 7_173_923_840, "15b": 15_957_889_024}
TENSORS = {"3b": 483, "7b": 515, "15b": 644}


def written(name: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((DATA / name).read_text())
    return values


@pytest.mark.parametrize("name", PRESETS)
def test_parameters_are_counted_without_building(name: str) -> None:
    with torch.device("meta"):
        model = StarCoder2(PRESETS[name])
    count = sum(tensor.numel() for tensor in model.parameters())
    assert count == PRESETS[name].num_parameters == COUNTS.get(name, count)
    assert len(model.shapes()) == TENSORS.get(name, len(model.shapes()))


@pytest.mark.parametrize("name", COUNTS)
def test_published_configurations_open_and_equal_the_presets(name: str) -> None:
    published = StarCoder2Config.from_json_dict(written(f"starcoder2-{name}.json"))
    without_dropout = {f"{kind}_dropout": 0.0 for kind in ("attention", "residual", "embedding")}
    assert StarCoder2Config.from_json_dict(published.to_json_dict() | without_dropout) == PRESETS[name]
    assert published.attention_dropout == 0.1


@pytest.mark.parametrize(("name", "tied"), [("transformers-4.49.json", False), ("transformers-5.23.json", True)])
def test_what_transformers_wrote_opens(name: str, tied: bool) -> None:
    config = StarCoder2Config.from_json_dict(written(name))
    assert (config.rope_theta, config.tie_word_embeddings, config.hidden_size) == (10000.0, tied, 32)


@pytest.mark.parametrize("name", PRESETS)
def test_transformers_reads_the_same_values(name: str) -> None:
    ours = PRESETS[name].to_json_dict()
    theirs = transformers.Starcoder2Config.from_dict(ours)
    assert theirs.rope_parameters == {"rope_type": "default", "rope_theta": PRESETS[name].rope_theta}
    for key in ours.keys() - {"rope_theta", "rope_parameters", "architectures", "model_type"}:
        assert getattr(theirs, key) == ours[key], key
    assert StarCoder2Config.from_json_dict(json.loads(theirs.to_json_string())) == PRESETS[name]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_sise": 64}, "unknown setting 'hidden_sise'; did you mean 'hidden_size'"),
        ({"quantization_config": {}}, "unknown setting 'quantization_config'"),
        ({"model_type": "llama"}, "'model_type' is 'llama'; only 'starcoder2'"),
        ({"architectures": ["Starcoder2Model"]}, "'architectures'"),
        ({"mlp_type": "gated"}, "'mlp_type' is 'gated'"),
        ({"norm_type": "rms_norm"}, "'norm_type'"),
        ({"hidden_act": "gelu"}, "'hidden_act' is 'gelu'; it must be 'gelu_pytorch_tanh'"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "'rope_scaling'"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, "'rope_parameters.rope_type' is 'yarn'"),
        ({"rope_parameters": {"rope_type": "default", "factor": 2}}, "'rope_parameters.factor'"),
        ({"rope_parameters": {"rope_theta": 7.0}}, "'rope_theta' is 999999.4420358813 but"),
        ({"rope_parameters": 3}, "'rope_parameters' is 3"),
        ({"head_dim": 64}, "'head_dim' is 64; it must be null or 128"),
        ({"eos_token_id": 50256}, "'eos_token_id' is 50256; it must be an id below 49152"),
        ({"eos_token_id": None}, "'eos_token_id' is missing"),
        ({"num_attention_heads": 25}, "'num_attention_heads' is 25"),
        ({"num_attention_heads": 1024}, "is even"),
        ({"num_key_value_heads": 5}, "'num_key_value_heads' is 5"),
        ({"sliding_window": 0}, "'sliding_window' is 0"),
        ({"num_hidden_layers": 10**9}, "'num_hidden_layers' is 1000000000"),
        ({"hidden_size": "big"}, "'hidden_size' is 'big'; it must be of type int"),
        ({"norm_epsilon": 0}, "'norm_epsilon'"),
        ({"rope_theta": float("inf")}, "'rope_theta'"),
        ({"initializer_range": -1}, "'initializer_range'"),
        ({"attention_dropout": 1.5}, "'attention_dropout' is 1.5"),
    ],
)
def test_what_is_unknown_or_wrong_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        StarCoder2Config.from_json_dict(written("starcoder2-3b.json") | change)
    assert message in str(caught.value)


@pytest.mark.parametrize("key", ["model_type", "bos_token_id", "norm_epsilon", "max_position_embeddings", "rope_theta"])
def test_nothing_important_is_left_to_defaults(key: str) -> None:
    values = written("starcoder2-3b.json")
    del values[key]
    with pytest.raises(SettingsError, match=f"missing.*{key}|{key}.*missing"):
        StarCoder2Config.from_json_dict(values)


def test_presets_take_overrides_and_know_their_names() -> None:
    assert preset("debug", num_hidden_layers=5).num_hidden_layers == 5
    with pytest.raises(SettingsError, match="no preset '1t'; known are 3b, 7b"):
        preset("1t")
    with pytest.raises(SettingsError, match="unknown setting 'layers'"):
        preset("debug", layers=5)
