from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_models import random_model, scaled_down, some_ids

from starloom.contract import Contract
from starloom.core.errors import FormatError, InputError, MismatchError, SettingsError, StarloomError
from starloom.model import StarCoder2, gguf_file
from starloom.model.presets import preset

TOLERANCES = {"f32": 0.0, "f16": 3e-4, "bf16": 3e-3, "q8_0": 1e-2}
"""The largest relative error of a matrix: half a step of 10 and of 7 bits, and 8 bits over blocks of 32."""


@pytest.fixture
def written(told: StarCoder2, contract: Contract, tmp_path: Path) -> Path:
    told.save_gguf(tmp_path / "model.gguf", contract, "f32")
    return tmp_path / "model.gguf"


@pytest.mark.parametrize("quantization", gguf_file.QUANTIZATIONS)
def test_round_trip(told: StarCoder2, contract: Contract, tmp_path: Path, quantization: str) -> None:
    told.save_gguf(tmp_path / "model.gguf", contract, quantization)
    again = StarCoder2.open(tmp_path / "model.gguf")
    assert again.config == told.config
    for name, tensor in told.state_dict().items():
        found = again.state_dict()[name]
        error = (found - tensor).norm() / tensor.norm()
        assert error <= (TOLERANCES[quantization] if tensor.dim() == 2 else 0), name
    ids = some_ids(told.config)
    error = (again(ids) - told(ids)).norm() / told(ids).norm()
    assert error <= 3 * TOLERANCES[quantization]


def test_every_size_round_trips(size: str, contract: Contract, tmp_path: Path) -> None:
    model = random_model(preset(size, **vars(scaled_down(size)) | {"vocab_size": 340}))
    model.save_gguf(tmp_path / "model.gguf", contract, "f32")
    again = StarCoder2.open(tmp_path / "model.gguf")
    assert again.config == model.config
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_the_gguf_package_sees_what_llama_cpp_needs(told: StarCoder2, contract: Contract, written: Path) -> None:
    reader = gguf.GGUFReader(written)
    seen = {name: field.contents() for name, field in reader.fields.items()}
    expected = {
        "general.architecture": "starcoder2",
        "general.file_type": 0,
        "starcoder2.block_count": 2,
        "starcoder2.context_length": 256,
        "starcoder2.embedding_length": 64,
        "starcoder2.feed_forward_length": 256,
        "starcoder2.attention.head_count": 2,
        "starcoder2.attention.head_count_kv": 1,
        "starcoder2.attention.layer_norm_epsilon": pytest.approx(1e-5),
        "starcoder2.attention.sliding_window": 16,
        "starcoder2.rope.freq_base": 10000.0,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "starcoder",
        "tokenizer.ggml.tokens": list(contract.tokenizer.tokens),
        "tokenizer.ggml.token_type": [3] * 38 + [1] * 302,
        "tokenizer.ggml.merges": contract.tokenizer.merges,
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 0,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.ggml.fim_pre_token_id": 1,
        "tokenizer.ggml.fim_mid_token_id": 2,
        "tokenizer.ggml.fim_suf_token_id": 3,
        "tokenizer.ggml.fim_pad_token_id": 4,
        "tokenizer.ggml.fim_rep_token_id": 5,
        "tokenizer.ggml.fim_sep_token_id": 6,
        "starloom.contract": contract.to_json(),
    }
    assert {key: seen.get(key) for key in expected} == expected
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.STARCODER2, 2)
    stored = {tensor.name: tuple(map(int, tensor.shape))[::-1] for tensor in reader.tensors}
    assert stored == {names.get_name(name, (".weight", ".bias")): shape for name, shape in told.shapes().items()}


def test_the_contract_comes_back(contract: Contract, written: Path) -> None:
    again = Contract.of(written)
    assert again.to_json() == contract.to_json()
    assert again.tokenizer.encode("def f():\n    return 1") == contract.tokenizer.encode("def f():\n    return 1")


def test_short_rows_stay_float16_and_vectors_float32(contract: Contract, tmp_path: Path) -> None:
    model = random_model(preset("debug", vocab_size=340, hidden_size=48, num_attention_heads=4, intermediate_size=96))
    model.save_gguf(tmp_path / "model.gguf", contract, "q8_0")
    kinds = {tensor.name: tensor.tensor_type for tensor in gguf.GGUFReader(tmp_path / "model.gguf").tensors}
    assert kinds["token_embd.weight"] == GGMLQuantizationType.F16
    assert kinds["blk.1.ffn_down.weight"] == GGMLQuantizationType.Q8_0
    assert {kind for name, kind in kinds.items() if name.endswith("bias") or "norm" in name} == {GGMLQuantizationType.F32}
    assert StarCoder2.open(tmp_path / "model.gguf", torch.bfloat16).head_weight.dtype == torch.bfloat16


def rewritten(
    source: Path, target: Path, *, skip: tuple[str, ...] = (), change: Callable[[gguf.GGUFWriter], None] | None = None
) -> Path:
    """A copy made by the `gguf` package, as other programs write it: without some keys and tensors, with others."""
    reader, writer = gguf.GGUFReader(source), gguf.GGUFWriter(target, "starcoder2")
    for name, field in reader.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture" and name not in skip:
            inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), field.types[0], inner)
    for tensor in reader.tensors:
        if tensor.name not in skip:
            writer.add_tensor(tensor.name, np.array(tensor.data), raw_dtype=tensor.tensor_type)
    if change:
        change(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def test_files_of_other_programs_open(told: StarCoder2, written: Path, tmp_path: Path) -> None:
    window = "starcoder2.attention.sliding_window"
    plain = rewritten(written, tmp_path / "plain.gguf", skip=("starloom.config", "starloom.contract", window))
    again = StarCoder2.open(plain)
    assert again.config.sliding_window is None
    assert again.config.num_parameters == told.config.num_parameters
    ids = some_ids(told.config, length=10)
    torch.testing.assert_close(again(ids), told(ids), atol=1e-5, rtol=0)


def refuses(path: Path, *messages: str, error: type[StarloomError] = FormatError) -> None:
    with pytest.raises(error) as caught:
        StarCoder2.open(path)
    for message in messages:
        assert message in str(caught.value)


def test_wrong_tensors_are_named(written: Path, tmp_path: Path) -> None:
    refuses(rewritten(written, tmp_path / "a.gguf", skip=("output_norm.bias",)), "missing tensor 'model.norm.bias'")
    extra = rewritten(
        written, tmp_path / "b.gguf", change=lambda writer: writer.add_tensor("rope_freqs.weight", np.ones(3, np.float32))
    )
    refuses(extra, "tensor 'rope_freqs.weight' not part of this model")
    shape = rewritten(
        written,
        tmp_path / "c.gguf",
        skip=("output_norm.bias",),
        change=lambda writer: writer.add_tensor("output_norm.bias", np.ones(3, np.float32)),
    )
    refuses(shape, "'model.norm.bias' has the shape [3]; its configuration says [64]")
    kind = rewritten(
        written,
        tmp_path / "d.gguf",
        skip=("output_norm.bias",),
        change=lambda writer: writer.add_tensor("output_norm.bias", np.ones(64, np.int32)),
    )
    refuses(kind, "'output_norm.bias' is truncated or stored in an unknown way")


def test_wrong_metadata_is_named(written: Path, tmp_path: Path) -> None:
    lacking = rewritten(written, tmp_path / "a.gguf", skip=("starcoder2.block_count",))
    refuses(lacking, "lacks the key 'starcoder2.block_count'")
    config = preset("debug", vocab_size=340).to_json_dict() | {"num_hidden_layers": 3, "sliding_window": 16}
    for text, message in ((json.dumps(config), "says num_hidden_layers 3, its other keys 2"), ("[", "is no configuration")):
        other = rewritten(
            written,
            tmp_path / "b.gguf",
            skip=("starloom.config",),
            change=lambda writer, text=text: writer.add_string("starloom.config", text),
        )
        refuses(other, message)
    architecture = written.read_bytes().replace(b"starcoder2", b"starcoder3")
    (tmp_path / "c.gguf").write_bytes(architecture)
    refuses(tmp_path / "c.gguf", "its architecture is 'starcoder3'")


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
def test_damaged_files_are_refused_or_harmless(written: Path, data: st.DataObject) -> None:
    good = written.read_bytes()
    header = good.index(b"starloom.contract") + 6000
    damaged = bytearray(good[: data.draw(st.integers(0, len(good)))]) if data.draw(st.booleans()) else bytearray(good)
    for place, byte in data.draw(st.lists(st.tuples(st.integers(0, header), st.integers(0, 255)), max_size=4)):
        if place < len(damaged):
            damaged[place] = byte
    path = written.with_name("damaged.gguf")
    path.write_bytes(damaged)
    with contextlib.suppress(FormatError):
        StarCoder2.open(path)


def test_writing_refuses_what_does_not_fit(told: StarCoder2, contract: Contract, written: Path, debug: StarCoder2) -> None:
    before = written.read_bytes()
    with pytest.raises(SettingsError, match="no quantization 'q3'; known are f32, f16, bf16, q8_0"):
        told.save_gguf(written, contract, "q3")
    with pytest.raises(MismatchError, match="the tokenizer has 340 tokens, the model 512"):
        debug.save_gguf(written, contract)
    assert written.read_bytes() == before
    refuses(written.with_name("none.gguf"), "no model directory or .gguf file at", error=InputError)


def test_a_full_disk_leaves_the_older_file(
    told: StarCoder2, contract: Contract, written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = written.read_bytes()
    monkeypatch.setattr(gguf.GGUFWriter, "write_tensor_data", full)
    with pytest.raises(OSError, match="No space left"):
        told.save_gguf(written, contract)
    assert written.read_bytes() == before
    assert [file.name for file in written.parent.iterdir()] == ["model.gguf"]


def test_tensors_that_share_bytes_are_refused(written: Path, tmp_path: Path) -> None:
    data = written.read_bytes()
    place = data.index(b"blk.1.ffn_norm.bias") + len(b"blk.1.ffn_norm.bias") + 4 + 8 + 4
    (tmp_path / "shared.gguf").write_bytes(data[:place] + bytes(8) + data[place + 8 :])
    refuses(tmp_path / "shared.gguf", "tensor 'blk.1.ffn_norm.bias' begins at byte", "ends at")
