from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from weight_files import config, write_gguf

from starloom.core.errors import FormatError, InputError, SettingsError
from starloom.engine import memory, packed
from starloom.engine.layouts import KINDS
from starloom.engine.packed import CacheWarning, PackedModel, open_packed, pack_in_memory
from starloom.engine.packed_file import read_packed
from starloom.engine.sources import open_source
from starloom.engine.stored import KIND_OF


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STARLOOM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "packed"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write_gguf(tmp_path / "model.gguf", config(), lambda name: "Q4_0")
    return tmp_path / "model.gguf"


LIMITS = {"f32": 0.0, "bf16": 2.0**-8, "q8": 0.009, "q4": 0.13, "q4m": 0.1}
"""The largest relative error of a random matrix in each kind."""


def agrees(found: PackedModel, values: dict[str, np.ndarray], limit: float) -> None:
    heads = [f"model.layers.1.self_attn.{part}_proj" for part in "qkv"]
    pairs = {
        "embedding": values["model.embed_tokens.weight"],
        "layers.1.qkv": np.concatenate([values[f"{name}.weight"] for name in heads]),
        "layers.0.proj": values["model.layers.0.mlp.c_proj.weight"],
        "layers.1.o": values["model.layers.1.self_attn.o_proj.weight"],
        "layers.1.fc": values["model.layers.1.mlp.c_fc.weight"],
        "norm.bias": values["model.norm.bias"],
        "layers.1.qkv.bias": np.concatenate([values[f"{name}.bias"] for name in heads]),
        "layers.0.post_norm.weight": values["model.layers.0.post_attention_layernorm.weight"],
    }
    if not found.config.tie_word_embeddings:
        pairs["head"] = values["lm_head.weight"]
    for name, value in pairs.items():
        error = np.linalg.norm(found.floats(name) - value) / np.linalg.norm(value)
        assert error <= (limit if value.ndim == 2 else 0), name
    assert ("head" in found.tensors) != found.config.tie_word_embeddings


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", KIND_OF)
def test_every_format_packs(tmp_path: Path, kind: str, tied: bool) -> None:
    values = write_gguf(tmp_path / "model.gguf", config(hidden=256, tied=tied), lambda name: kind)
    found = open_packed(tmp_path / "model.gguf")
    limit = {"F32": 0.0, "F16": 2.0**-8, "BF16": 0.0, "Q5_K": 0.009, "Q6_K": 0.009, "Q4_K": 1e-3}.get(kind, 2e-7)
    agrees(found, values, limit)
    assert {tensor.kind for tensor in found.tensors.values()} == {"vector", KIND_OF[kind]}
    assert all(tensor.offset % 4096 == 0 for tensor in found.tensors.values())
    assert found.source == tmp_path / "model.gguf"
    assert found.native_config["sliding_window"] == 64
    assert found.native_tensors["layers.0.fc"][:3] == (KIND_OF[kind], 1024, 256)


@pytest.mark.parametrize("quant", KINDS)
@pytest.mark.parametrize("kind", ["F32", "Q4_0", "Q6_K"])
def test_every_format_is_rounded_to_every_kind(tmp_path: Path, kind: str, quant: str) -> None:
    values = write_gguf(tmp_path / "model.gguf", config(hidden=256), lambda name: kind)
    found = open_packed(tmp_path / "model.gguf", quant)
    assert found.tensors["layers.0.fc"].kind == quant
    assert found.tensors["embedding"].kind == ("q8" if quant in ("q4", "q4m") else quant)
    agrees(found, values, 2e-7 if kind == "Q4_0" and quant != "bf16" else LIMITS[quant])


def test_mixed_formats_of_one_matrix_take_the_wider_kind(tmp_path: Path) -> None:
    values = write_gguf(
        tmp_path / "model.gguf", config(hidden=256), lambda name: "Q6_K" if "v_proj" in name or "embed" in name else "Q4_K"
    )
    found = open_packed(tmp_path / "model.gguf")
    assert (found.tensors["layers.0.qkv"].kind, found.tensors["layers.0.o"].kind) == ("q8", "q4m")
    agrees(found, values, 0.009)


def test_a_model_without_biases_has_zeros(tmp_path: Path) -> None:
    write_gguf(tmp_path / "model.gguf", dataclasses.replace(config(), use_bias=False), lambda name: "F32")
    found = open_packed(tmp_path / "model.gguf")
    assert not found.floats("layers.1.fc.bias").any()
    assert found.floats("norm.bias").any()


def test_the_second_start_maps_the_file(model: Path, cache: Path) -> None:
    first = open_packed(model)
    (file,) = cache.iterdir()
    before = file.stat().st_mtime_ns
    again = open_packed(model)
    assert file.stat().st_mtime_ns == before
    assert again.tensors == first.tensors
    np.testing.assert_array_equal(again.data, first.data)
    assert not again.data.flags.writeable
    assert read_packed(file)[0].config == config()
    open_packed(model, "q8")
    assert len(list(cache.iterdir())) == 2


def test_a_file_and_memory_hold_the_same(model: Path) -> None:
    for quant in (None, "q8", "q4m"):
        np.testing.assert_array_equal(pack_in_memory(open_source(model), quant).data, open_packed(model, quant).data)


def test_a_changed_model_is_packed_again(model: Path, cache: Path) -> None:
    first = open_packed(model).floats("layers.0.fc")
    values = write_gguf(model, config(), lambda name: "Q4_0", seed=9)
    os.utime(model, ns=(1, 1))
    np.testing.assert_allclose(
        open_packed(model).floats("layers.0.fc"), values["model.layers.0.mlp.c_fc.weight"], rtol=2e-7, atol=1e-9
    )
    assert first.any()
    assert len(list(cache.iterdir())) == 1


@pytest.mark.parametrize("damage", ["cut", "header", "magic", "empty", "version", "longer"])
def test_a_damaged_cache_is_made_again(model: Path, cache: Path, damage: str) -> None:
    good = open_packed(model).data.copy()
    (file,) = cache.iterdir()
    data = file.read_bytes()
    broken = {
        "cut": data[:-4096],
        "header": data[:100] + b"!" + data[101:],
        "magic": b"X" + data[1:],
        "empty": b"",
        "version": data[:16] + bytes(32) + data[48:],
        "longer": data + bytes(5),
    }[damage]
    file.unlink()
    file.write_bytes(broken)
    with pytest.raises(FormatError, match="is damaged"):
        read_packed(file)
    with pytest.warns(CacheWarning, match="it is made again"):
        np.testing.assert_array_equal(open_packed(model).data, good)
    np.testing.assert_array_equal(open_packed(model).data, good)


@pytest.mark.parametrize("number", [13, 28, 30])
def test_without_a_place_for_the_file_the_model_is_packed_in_memory(
    model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    good = open_packed(model).data.copy()
    shutil.rmtree(cache)
    monkeypatch.setattr(packed, "write_packed", refuse)
    with pytest.warns(CacheWarning, match="set STARLOOM_CACHE to a folder with room"):
        np.testing.assert_array_equal(open_packed(model).data, good)
    assert list(cache.iterdir()) == []


def test_a_cache_folder_that_is_a_file_does_no_harm(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("STARLOOM_CACHE", str(tmp_path / "file"))
    with pytest.warns(CacheWarning, match="cannot be written"):
        open_packed(model)
    assert (tmp_path / "file").read_text() == "mine"


def test_what_killed_processes_left_is_removed(model: Path, cache: Path) -> None:
    open_packed(model)
    (file,) = cache.iterdir()
    file.unlink()
    old, new = cache / f".{file.name}.a.partial", cache / f".{file.name}.b.partial"
    for partial in (old, new):
        partial.write_bytes(b"x")
    os.utime(old, (1, 1))
    open_packed(model)
    assert sorted(path.name for path in cache.iterdir()) == sorted([file.name, new.name])


def test_a_full_disk_is_seen_before_writing(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.warns(CacheWarning, match=r"needs 0.* MB; 0.0 MB are free"):
        open_packed(model)


def test_too_little_memory_is_said(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_source(model)
    monkeypatch.setattr(memory, "available_memory", lambda: 1000)
    with pytest.raises(InputError, match=r"packing '.*' needs 0.* MB of memory; 0.0 MB are free"):
        pack_in_memory(source)


def test_a_system_that_gives_no_memory_is_an_error_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: None)
    with pytest.raises(InputError, match=r"a test needs .* GB of memory, which the system does not give"):
        memory.allocate(1 << 60, "a test")


def test_unknown_kinds_are_refused(model: Path) -> None:
    with pytest.raises(SettingsError, match="'quant' is 'q3'; it must be one of f32, bf16, q8, q4, q4m"):
        open_packed(model, "q3")


def test_packing_holds_a_piece_at_a_time(tmp_path: Path) -> None:
    write_gguf(tmp_path / "model.gguf", config(hidden=1024), lambda name: "F32")
    program = (
        "import resource, sys\n"
        "from starloom.engine.packed import open_packed\n"
        "start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "open_packed(sys.argv[1], 'q8')\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "model.gguf"], capture_output=True, text=True, check=True)
    assert (tmp_path / "model.gguf").stat().st_size > 90e6
    assert int(done.stdout) * 1024 < 60e6
