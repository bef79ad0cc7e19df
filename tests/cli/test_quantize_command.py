from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from starloom.cli import app, main
from starloom.engine.sources import open_source


def test_a_model_becomes_a_smaller_file(model: Path, tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "some.py").write_text("def main():\n    for name in names:\n        print(name)\n" * 20)
    for name, more in (("plain", []), ("calibrated", ["--calibrate", str(tmp_path / "texts")])):
        out = tmp_path / f"{name}.gguf"
        result = CliRunner().invoke(app, ["quantize", str(model), "--to", "q4", "--out", str(out), *more])
        assert result.exit_code == 0, result.output
        assert result.output == f"{out}: {out.stat().st_size:,} bytes\n"
        assert open_source(out).tensors["model.layers.0.mlp.c_fc.weight"].format == "Q4_0"
    assert (tmp_path / "plain.gguf").read_bytes() != (tmp_path / "calibrated.gguf").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "q3"], "'to' is 'q3'; it must be one of q4,"),
        (["--calibrate", "/none"], "there is no folder '/none'"),
        (["--calibration-tokens", "0"], "--calibration-tokens is 0"),
    ],
)
def test_mistakes_are_one_line(
    model: Path,
    tmp_path: Path,
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["starloom", "quantize", str(model), "--out", str(tmp_path / "out.gguf"), *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("starloom: ")
    assert error.count("\n") == 1
    assert message in error
    assert not (tmp_path / "out.gguf").exists()
