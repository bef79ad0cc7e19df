"""Damaged and lying model files: a clear error or harmless numbers, in bounded time and memory, never a crash."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hostile import KINDS, attempt, good_files, safetensors_bytes, spoil
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from starloom.core.errors import FormatError
from starloom.engine.sources import open_source


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return good_files(tmp_path_factory.mktemp("good"))


def test_good_files_are_read(good: dict[str, Path]) -> None:
    assert {kind: attempt(kind, path) for kind, path in good.items()} == dict.fromkeys(KINDS, "read")


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 2**32))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_spoiled_files_are_refused_or_harmless(
    good: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, kind: str, seed: int
) -> None:
    target = tmp_path_factory.mktemp("spoiled") / "model"
    spoil(kind, good[kind], target, seed)
    assert attempt(kind, target) in ("read", "FormatError", "InputError", "SettingsError")


@pytest.mark.parametrize(("kind", "seed"), [("packed", 1003583), ("packed", 1009423)])
def test_what_fuzzing_found_stays_mended(good: dict[str, Path], tmp_path: Path, kind: str, seed: int) -> None:
    """A row of a packed file's table that is an empty text."""
    spoil(kind, good[kind], tmp_path / "model", seed)
    assert attempt(kind, tmp_path / "model") == "FormatError"


def test_safetensors_whose_tensors_overlap_or_lie_outside_are_named(good: dict[str, Path], tmp_path: Path) -> None:
    spoil_free = good["safetensors"]
    for file in spoil_free.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    data = (tmp_path / "model.safetensors").read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    for start in (0, 10**12):
        first = header["model.norm.bias"]["data_offsets"]
        moved = header | {"model.norm.bias": header["model.norm.bias"] | {"data_offsets": [start, start + first[1] - first[0]]}}
        (tmp_path / "model.safetensors").write_bytes(safetensors_bytes(moved, data[end:]))
        with pytest.raises(FormatError, match=r"tensor 'model.norm.bias' begins at byte|the one before it ends"):
            open_source(tmp_path)


def test_every_truncation_of_a_gguf_file_is_refused(good: dict[str, Path], tmp_path: Path) -> None:
    data = good["gguf Q4_0"].read_bytes()
    for length in range(0, len(data), 997):
        (tmp_path / "short.gguf").write_bytes(data[:length])
        assert attempt("gguf", tmp_path / "short.gguf") == "FormatError"
