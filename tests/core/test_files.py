from __future__ import annotations

from pathlib import Path

import pytest

from starloom.core.errors import InputError, MissingExtraError, require
from starloom.core.files import check_free, new_file, new_folder, sha256_of, write_text


def _write_half(path: Path) -> None:
    with new_file(path) as partial:
        partial.write_text("half")
        raise OSError(28, "No space left on device")


def _write_half_a_folder(path: Path) -> None:
    with new_folder(path, replace=True) as partial:
        (partial / "b").write_text("2")
        raise OSError(28, "No space left on device")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    write_text(path, "old\r\n")
    with pytest.raises(OSError, match="No space"):
        _write_half(path)
    assert path.read_bytes() == b"old\r\n"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_folder_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    with new_folder(path) as partial:
        (partial / "a").write_text("1")
    with pytest.raises(OSError, match="No space"):
        _write_half_a_folder(path)
    assert [file.name for file in path.iterdir()] == ["a"]
    with new_folder(path, replace=True) as partial:
        (partial / "b").write_text("2")
    assert [file.name for file in path.iterdir()] == ["b"]
    assert list(tmp_path.iterdir()) == [path]


def test_what_exists_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="exists already"):
        check_free(tmp_path)
    with pytest.raises(InputError, match="exists already"), new_folder(tmp_path / "file"):
        pass
    (tmp_path / "empty").mkdir()
    check_free(tmp_path / "empty")
    with new_folder(tmp_path / "empty") as partial:
        (partial / "a").write_text("1")
    assert (tmp_path / "empty" / "a").read_text() == "1"


def test_sha256(tmp_path: Path) -> None:
    write_text(tmp_path / "abc", "abc")
    assert sha256_of(tmp_path / "abc").startswith("ba7816bf")


def test_a_missing_library_names_its_extra() -> None:
    with pytest.raises(MissingExtraError, match=r"pip install 'starloom\[train\]'"):
        require("a_library_that_is_not_there", "train")
    assert require("json", "train").loads("1") == 1
