from __future__ import annotations

import os
from pathlib import Path

import pytest

from starloom.train.compilation import mark_whole, use_cache


def test_code_of_an_interrupted_process_is_removed_and_whole_code_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "elsewhere")
    folder = tmp_path / "compiled"
    use_cache(folder)
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(folder)
    (folder / "kernel.so").write_bytes(b"cut sho")
    use_cache(folder)
    assert list(folder.iterdir()) == []
    (folder / "kernel.so").write_bytes(b"whole")
    mark_whole(folder)
    use_cache(folder)
    assert (folder / "kernel.so").read_bytes() == b"whole"
