from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from starloom.core.errors import FormatError, InputError
from starloom.core.gguf_header import read_header


@pytest.fixture
def written(tmp_path: Path) -> Path:
    writer = gguf.GGUFWriter(tmp_path / "some.gguf", "test")
    writer.add_uint32("a.number", 7)
    writer.add_int64("a.large", -(2**40))
    writer.add_float32("a.float", 0.5)
    writer.add_bool("a.flag", True)
    writer.add_string("a.text", "größe")
    writer.add_array("a.texts", ["x", "", "yz"])
    writer.add_array("a.numbers", [1, -2, 3])
    writer.add_tensor("t.one", np.arange(6, dtype=np.float32).reshape(2, 3))
    writer.add_tensor("t.two", np.arange(5, dtype=np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tmp_path / "some.gguf"


def test_it_sees_what_the_gguf_package_sees(written: Path) -> None:
    header, peer = read_header(written), gguf.GGUFReader(written)
    theirs = {name: field.contents() for name, field in peer.fields.items() if not name.startswith("GGUF.")}
    assert header.metadata == theirs
    assert header.metadata["a.text"] == "größe"
    for tensor in peer.tensors:
        entry = header.tensors[tensor.name]
        assert (entry.shape, entry.kind, entry.offset) == (tensor.data.shape, tensor.tensor_type, tensor.data_offset)
    assert list(np.frombuffer(header.data, np.float32, 6, header.tensors["t.one"].offset)) == [0, 1, 2, 3, 4, 5]


def file_of(tmp_path: Path, *parts: bytes, version: int = 3, tensors: int = 0, values: int = 0) -> Path:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", version, tensors, values) + b"".join(parts))
    return tmp_path / "bad.gguf"


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def refuses(path: Path, message: str) -> None:
    with pytest.raises(FormatError) as caught:
        read_header(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("length", [2**20, 2**60, 2**64 - 1])
@pytest.mark.parametrize("kind", [0, 4, 8])
def test_lists_longer_than_the_file_are_refused_at_once(tmp_path: Path, kind: int, length: int) -> None:
    refuses(file_of(tmp_path, text("a"), struct.pack("<IIQ", 9, kind, length), values=1), "are announced at byte")


@pytest.mark.parametrize(
    ("parts", "counts", "message"),
    [
        ([], {"version": 9}, "version 9"),
        ([], {"values": 2**64 - 1}, "are announced"),
        ([], {"tensors": 2**64 - 1}, "are announced"),
        ([struct.pack("<Q", 2**63)], {"values": 1}, "are announced"),
        ([struct.pack("<Q", 1), b"\xff"], {"values": 1}, "not UTF-8"),
        ([text("a"), struct.pack("<I", 77)], {"values": 1}, "unknown type 77"),
        ([text("a"), struct.pack("<IIQ", 9, 9, 1)], {"values": 1}, "unknown type 9"),
        ([text("a"), struct.pack("<IB", 0, 1)] * 2, {"values": 2}, "the key 'a' occurs twice"),
        ([text("general.alignment"), struct.pack("<II", 4, 24)], {"values": 1}, "must be a power of two"),
        ([text("t"), struct.pack("<I", 2**31)], {"tensors": 1}, "2147483648 dimensions"),
        ([text("t"), struct.pack("<IIQ", 0, 0, 0)] * 2, {"tensors": 2}, "the tensor 't' occurs twice"),
    ],
)
def test_damage_is_named(tmp_path: Path, parts: list[bytes], counts: dict[str, Any], message: str) -> None:
    refuses(file_of(tmp_path, *parts, **counts), message)


def test_every_truncation_is_refused(written: Path, tmp_path: Path) -> None:
    data = written.read_bytes()
    end = min(tensor.offset for tensor in read_header(written).tensors.values()) - 31
    for length in range(1, end):
        (tmp_path / "short.gguf").write_bytes(data[:length])
        with pytest.raises(FormatError):
            read_header(tmp_path / "short.gguf")


def test_no_file_and_an_empty_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file at"):
        read_header(tmp_path / "none.gguf")
    (tmp_path / "empty.gguf").write_bytes(b"")
    refuses(tmp_path / "empty.gguf", "is empty")
    (tmp_path / "text.gguf").write_text("hello there")
    refuses(tmp_path / "text.gguf", "does not begin with 'GGUF'")
