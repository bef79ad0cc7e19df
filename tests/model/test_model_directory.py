from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_models import random_model, scaled_down, some_ids

from starloom.contract import Contract
from starloom.core.errors import FormatError, InputError, MismatchError, SettingsError, StarloomError
from starloom.model import StarCoder2, directory
from starloom.model.presets import preset

SHARD = 40_000
INDEX = "model.safetensors.index.json"


@pytest.fixture
def saved(debug: StarCoder2, tmp_path: Path) -> Path:
    debug.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def sharded(debug: StarCoder2, tmp_path: Path) -> Path:
    debug.save(tmp_path / "model", shard_bytes=SHARD)
    return tmp_path / "model"


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_weights(path: Path, **changes: torch.Tensor | None) -> None:
    """Replace tensors (`__` stands for a dot); None removes."""
    tensors = safetensors.torch.load(path.read_bytes())
    for key, tensor in changes.items():
        name = key.replace("__", ".")
        if tensor is None:
            del tensors[name]
        else:
            tensors[name] = tensor
    safetensors.torch.save_file(tensors, path)


def refuses(path: Path, *messages: str, error: type[StarloomError] = FormatError) -> None:
    with pytest.raises(error) as caught:
        StarCoder2.open(path)
    for message in messages:
        assert message in str(caught.value)


@pytest.mark.parametrize("shard_bytes", [SHARD, directory.SHARD_BYTES])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_transformers_loads_what_we_write(sized: StarCoder2, tmp_path: Path, dtype: torch.dtype, shard_bytes: int) -> None:
    sized.save(tmp_path / "model", dtype=dtype, shard_bytes=shard_bytes)
    peer = transformers.Starcoder2ForCausalLM.from_pretrained(tmp_path / "model", attn_implementation="eager")
    assert peer.dtype == dtype
    ids, ours = some_ids(sized.config), StarCoder2.open(tmp_path / "model", torch.float32)
    torch.testing.assert_close(ours(ids), peer.float()(ids).logits, atol=1e-4, rtol=0)
    assert (tmp_path / "model" / INDEX).exists() == (shard_bytes == SHARD)


@pytest.mark.parametrize("shard_size", ["40KB", "5GB"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_we_open_what_transformers_writes(size: str, tmp_path: Path, dtype: torch.dtype, shard_size: str) -> None:
    config = transformers.Starcoder2Config.from_dict(scaled_down(size).to_json_dict())
    config._attn_implementation = "eager"
    torch.manual_seed(5)
    peer = transformers.Starcoder2ForCausalLM(config).to(dtype).eval()
    peer.save_pretrained(tmp_path / "model", max_shard_size=shard_size)
    ours = StarCoder2.open(tmp_path / "model")
    assert {tensor.dtype for tensor in ours.parameters()} == {dtype}
    ids = some_ids(ours.config)
    torch.testing.assert_close(ours.float()(ids), peer.float()(ids).logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize("shard_bytes", [1, SHARD, directory.SHARD_BYTES])
def test_round_trip_is_exact(debug: StarCoder2, tmp_path: Path, shard_bytes: int) -> None:
    debug.save(tmp_path / "model", shard_bytes=shard_bytes)
    again = StarCoder2.open(tmp_path / "model")
    assert again.config == debug.config
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in debug.state_dict().items())


def test_the_same_model_gives_the_same_bytes(debug: StarCoder2, tmp_path: Path) -> None:
    for name in ("a", "b"):
        debug.save(tmp_path / name, shard_bytes=SHARD)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_a_contract_is_saved_beside_the_weights(told: StarCoder2, contract: Contract, tmp_path: Path) -> None:
    told.save(tmp_path / "model", contract=contract)
    assert Contract.of(tmp_path / "model").to_json() == contract.to_json()
    assert transformers.GenerationConfig.from_pretrained(tmp_path / "model").eos_token_id == [0, 6]
    with pytest.raises(MismatchError, match="the tokenizer has 340 tokens, the model only 300"):
        StarCoder2.from_preset("debug", vocab_size=300).save(tmp_path / "small", contract=contract)


def test_weights_can_be_read_by_others(saved: Path) -> None:
    assert {file.stat().st_mode & 0o044 for file in saved.iterdir()} == {0o044}


def test_training_an_opened_model_leaves_its_file_alone(saved: Path) -> None:
    before = (saved / "model.safetensors").read_bytes()
    model = StarCoder2.open(saved)
    with torch.no_grad():
        for tensor in model.parameters():
            assert tensor.requires_grad
            tensor.add_(1)
    assert (saved / "model.safetensors").read_bytes() == before
    model.save(saved, replace=True)
    assert torch.equal(StarCoder2.open(saved).head_weight, model.head_weight)


def test_dtypes_convert_and_mixed_ones_widen(saved: Path) -> None:
    assert StarCoder2.open(saved, torch.bfloat16).head_weight.dtype == torch.bfloat16
    edit_weights(saved / "model.safetensors", model__norm__bias=torch.zeros(64, dtype=torch.bfloat16))
    assert {tensor.dtype for tensor in StarCoder2.open(saved).parameters()} == {torch.float32}


def test_tied_head_may_be_stored_if_it_is_the_embedding(debug: StarCoder2, saved: Path) -> None:
    edit_weights(saved / "model.safetensors", lm_head__weight=debug.head_weight.detach().clone())
    assert torch.equal(StarCoder2.open(saved).head_weight, debug.head_weight)
    edit_weights(saved / "model.safetensors", lm_head__weight=debug.head_weight.detach() + 1)
    refuses(saved, "'lm_head.weight' differs from 'model.embed_tokens.weight'")
    edit_weights(saved / "model.safetensors", lm_head__weight=torch.zeros(3, 64))
    refuses(saved, "'lm_head.weight' has the shape [3, 64]", "[512, 64]")


def test_missing_extra_and_misshaped_tensors_are_named(saved: Path) -> None:
    weights = saved / "model.safetensors"
    good = weights.read_bytes()
    edit_weights(weights, model__norm__bias=None)
    refuses(saved, "missing tensor 'model.norm.bias'")
    weights.write_bytes(good)
    edit_weights(weights, model__rotary=torch.zeros(2))
    refuses(saved, "tensor 'model.rotary' not part of this model")
    weights.write_bytes(good)
    edit_weights(weights, model__norm__bias=torch.zeros(63))
    refuses(saved, "tensor 'model.norm.bias' has the shape [63]; its configuration says [64]")
    edit_weights(weights, model__norm__bias=torch.zeros(64, dtype=torch.int64))
    refuses(saved, "'model.norm.bias' is stored as I64")


def test_an_untied_model_needs_its_head(saved: Path) -> None:
    edit_json(saved / "config.json", tie_word_embeddings=False)
    refuses(saved, "missing tensor 'lm_head.weight'")


@pytest.mark.parametrize(
    "target", ["../evil.safetensors", "/etc/evil.safetensors", "a/b.safetensors", "..", "model.bin", "a\\b.safetensors"]
)
def test_an_index_that_points_elsewhere_is_refused(sharded: Path, target: str) -> None:
    places = json.loads((sharded / INDEX).read_text())["weight_map"]
    edit_json(sharded / INDEX, weight_map=places | {"model.norm.bias": target})
    refuses(sharded, f"points to {target!r}")


def test_a_bad_index_is_refused(sharded: Path) -> None:
    places: dict[str, str] = json.loads((sharded / INDEX).read_text())["weight_map"]
    first, last = "model-00001-of", places["model.norm.bias"]
    edit_json(sharded / INDEX, weight_map=places | {"model.norm.bias": places["model.embed_tokens.weight"]})
    refuses(sharded, first, "missing tensor 'model.norm.bias'")
    edit_json(sharded / INDEX, weight_map={name: place for name, place in places.items() if name != "model.norm.bias"})
    refuses(sharded, "tensor 'model.norm.bias' is not in model.safetensors.index.json")
    edit_json(sharded / INDEX, weight_map=places)
    edit_weights(sharded / last, model__embed_tokens__weight=torch.zeros(512, 64))
    refuses(sharded, last, "tensor 'model.embed_tokens.weight' is also in model-00001")
    (sharded / last).unlink()
    refuses(sharded, last, "is missing")
    for broken in ("[]", "{}", '{"weight_map": {"a": 3}}', '{"weight_map": {}}', "{", "\0", "[" * 100_000):
        (sharded / INDEX).write_text(broken)
        refuses(sharded, INDEX)


def test_two_sets_of_weights_are_ambiguous(sharded: Path) -> None:
    shutil.copy(next(sharded.glob("model-00001*")), sharded / "model.safetensors")
    refuses(sharded, "has both model.safetensors and")


def test_pickles_are_never_read(saved: Path) -> None:
    (saved / "model.safetensors").unlink()
    refuses(saved, "has no weights")
    (saved / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch /tmp/owned'\ntR.")
    refuses(saved, "has only pickled weights (pytorch_model.bin)")


def test_what_is_no_model_directory_is_said(tmp_path: Path, saved: Path) -> None:
    refuses(tmp_path / "none", "no model directory or .gguf file at", error=InputError)
    refuses(tmp_path, "has no config.json", error=InputError)
    edit_json(saved / "config.json", hidden_sise=3)
    refuses(saved, "config.json: unknown setting 'hidden_sise'", error=SettingsError)
    for broken in (b"", b"\xff\xfe", b"[1]", b"null", b"[" * 100_000):
        (saved / "config.json").write_bytes(broken)
        refuses(saved, "config.json")


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_damaged_weights_are_refused_or_harmless(saved: Path, data: st.DataObject) -> None:
    good = (saved / "model.safetensors").read_bytes()
    header = 8 + int.from_bytes(good[:8], "little")
    damaged = bytearray(good[: data.draw(st.integers(0, len(good)))]) if data.draw(st.booleans()) else bytearray(good)
    for place, byte in data.draw(st.lists(st.tuples(st.integers(0, header - 1), st.integers(0, 255)), max_size=4)):
        if place < len(damaged):
            damaged[place] = byte
    (saved / "model.safetensors").write_bytes(damaged)
    try:
        StarCoder2.open(saved)
    except FormatError:
        pass
    finally:
        (saved / "model.safetensors").write_bytes(good)


def test_saving_never_overwrites_without_being_asked(saved: Path, debug: StarCoder2) -> None:
    with pytest.raises(InputError, match="exists already"):
        debug.save(saved)
    (saved / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds 'notes.txt', which is not part of a model"):
        debug.save(saved, replace=True)
    assert (saved / "notes.txt").read_text() == "mine"
    (saved / "notes.txt").unlink()
    random_model(preset("debug"), seed=9).save(saved, replace=True)
    assert not torch.equal(StarCoder2.open(saved).head_weight, debug.head_weight)
    with pytest.raises(SettingsError, match=r"cannot be saved as torch.int8"):
        debug.save(saved, dtype=torch.int8, replace=True)


def test_a_failed_save_leaves_the_older_model_and_nothing_else(
    told: StarCoder2, contract: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Contract, path: Path) -> None:
        assert (path / "model.safetensors").exists()
        raise OSError(28, "No space left on device", str(path / "contract.json"))

    told.save(tmp_path / "model")
    before = {file.name: file.read_bytes() for file in (tmp_path / "model").iterdir()}
    monkeypatch.setattr(Contract, "save", full)
    with pytest.raises(OSError, match="No space left"):
        random_model(told.config, seed=9).save(tmp_path / "model", contract=contract, replace=True)
    with pytest.raises(OSError, match="No space left"):
        told.save(tmp_path / "new", contract=contract)
    assert {file.name: file.read_bytes() for file in (tmp_path / "model").iterdir()} == before
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def test_a_full_disk_while_writing_weights_is_an_os_error(
    saved: Path, debug: StarCoder2, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise safetensors.SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(directory, "save_file", full)
    with pytest.raises(OSError, match=r"model.safetensors could not be written: .*No space left"):
        debug.save(saved, replace=True)
    assert StarCoder2.open(saved).shapes() == debug.shapes()
