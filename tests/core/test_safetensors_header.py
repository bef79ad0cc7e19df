from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from starloom.core.errors import FormatError
from starloom.core.safetensors_header import read_safetensors


@pytest.fixture
def written(tmp_path: Path) -> Path:
    tensors = {
        "a.matrix": torch.arange(6, dtype=torch.bfloat16).reshape(2, 3),
        "b": torch.tensor(7.0),
        "c.empty": torch.zeros(0, 4),
        "d": torch.arange(5, dtype=torch.int64),
    }
    save_file(tensors, tmp_path / "some.safetensors", metadata={"format": "pt"})
    return tmp_path / "some.safetensors"


def test_it_sees_what_the_library_sees(written: Path) -> None:
    header = read_safetensors(written)
    with safetensors.safe_open(written, framework="pt") as peer:
        assert header.tensors.keys() == set(peer.keys())
        for name, entry in header.tensors.items():
            part = peer.get_slice(name)
            assert (entry.dtype, list(entry.shape)) == (part.get_dtype(), part.get_shape())
            bits = peer.get_tensor(name).reshape(-1).view(torch.uint8).numpy()
            assert np.array_equal(np.frombuffer(header.data, np.uint8, entry.num_bytes, entry.offset), bits)


def file_of(path: Path, header: Any, length: int | None = None, data: bytes = b"\0" * 8) -> Path:
    text = header.encode() if isinstance(header, str) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


def entry(dtype: Any = "F32", shape: Any = (2,), start: Any = 0, end: Any = 8) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ([], "no JSON object"),
        ("{", "Expecting"),
        ("[" * 100_000, "recursion"),
        ('{"a": 1, "a": 2}', "'a' occurs twice"),
        ({"a": 3}, "is not described by"),
        ({"a": {"dtype": "F32"}}, "is not described by"),
        ({"a": entry(dtype="F4")}, "is stored as 'F4'"),
        ({"a": entry(dtype=[])}, "is stored as []"),
        ({"a": entry(shape=[-2])}, "no short lists of whole numbers"),
        ({"a": entry(shape=[2.0])}, "no short lists of whole numbers"),
        ({"a": entry(shape=[1] * 9)}, "no short lists of whole numbers"),
        ({"a": entry(shape=[True, 2])}, "no short lists of whole numbers"),
        ({"a": entry(shape=[2**62, 2**62])}, "its offsets say 8"),
        ({"a": entry(end=2**70)}, "no short lists of whole numbers"),
        ({"a": entry(shape=[2**40], end=2**42)}, "its tensors end at byte"),
        ({"a": entry(start=4, end=12)}, "the one before it ends at"),
        ({"a": entry(), "b": entry(start=4, end=12)}, "tensor 'b' begins at byte"),
        ({"a": entry(shape=[1], end=4)}, "its tensors end at byte"),
    ],
)
def test_damage_is_named(tmp_path: Path, header: Any, message: str) -> None:
    path = file_of(tmp_path / "bad.safetensors", header)
    with pytest.raises(FormatError) as caught:
        read_safetensors(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("length", [2**16, 2**32, 2**64 - 1])
def test_a_header_longer_than_the_file_is_refused(tmp_path: Path, length: int) -> None:
    with pytest.raises(FormatError, match=f"should have {length} bytes"):
        read_safetensors(file_of(tmp_path / "bad.safetensors", {}, length))


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_we_refuse_whatever_the_library_refuses(written: Path, data: st.DataObject) -> None:
    good = written.read_bytes()
    damaged = bytearray(good[: data.draw(st.integers(0, len(good)))]) if data.draw(st.booleans()) else bytearray(good)
    for place, byte in data.draw(st.lists(st.tuples(st.integers(0, len(good) - 1), st.integers(0, 255)), max_size=4)):
        if place < len(damaged):
            damaged[place] = byte
    path = written.with_name("damaged.safetensors")
    path.write_bytes(damaged)
    try:
        names = read_safetensors(path).tensors.keys()
    except FormatError:
        return
    with safetensors.safe_open(path, framework="pt") as peer:
        assert set(peer.keys()) == names
