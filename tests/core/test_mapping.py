from __future__ import annotations

import mmap
from pathlib import Path

import pytest

from starloom.core.errors import InputError
from starloom.core.mapping import mapped


def test_bytes_are_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"some bytes")
    assert bytes(mapped(tmp_path / "a")) == b"some bytes"
    assert mapped(tmp_path / "a").readonly
    (tmp_path / "b").write_bytes(b"")
    assert bytes(mapped(tmp_path / "b")) == b""


def test_what_cannot_be_mapped_says_how_much_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    with (tmp_path / "a").open("wb") as stream:
        stream.truncate(3 * 10**9)
    monkeypatch.setattr(mmap, "mmap", refuse)
    with pytest.raises(InputError, match=r"a' needs 3.00 GB of address space .*Cannot allocate memory"):
        mapped(tmp_path / "a")
