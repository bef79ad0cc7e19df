from pathlib import Path

import pytest

from starloom.contract import embedded_model
from starloom.core.errors import InputError


def test_the_single_model_is_found(tmp_path: Path) -> None:
    (tmp_path / "small.gguf").touch()
    (tmp_path / "CARD.md").touch()
    assert embedded_model(tmp_path) == tmp_path / "small.gguf"


def test_none_or_many_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no model is embedded"):
        embedded_model(tmp_path / "absent")
    (tmp_path / "a.gguf").touch()
    (tmp_path / "b.gguf").touch()
    with pytest.raises(InputError, match="2 models are embedded"):
        embedded_model(tmp_path)
