"""Completing code needs no PyTorch: the engine, the contract and the command line work where it cannot be imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import starloom

pytest.importorskip("starloom.engine._native", reason="the native module is not built")

BLOCKED = ("torch", "transformers", "safetensors", "tensorboard", "matplotlib", "pyarrow")
PREAMBLE = f"""
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {BLOCKED}:
            raise ModuleNotFoundError(f"blocked: {{name}}", name=name)

sys.meta_path.insert(0, Blocked())
"""


def run(program: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", PREAMBLE + program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_everything_that_completes_is_imported() -> None:
    root = Path(starloom.__file__).parent
    names = [
        ".".join(path.relative_to(root.parent).with_suffix("").parts).removesuffix(".__init__")
        for package in ("core", "contract", "engine", "cli")
        for path in sorted((root / package).rglob("*.py"))
    ]
    assert {"starloom.engine.native_core", "starloom.contract.text_stream", "starloom.cli.complete"} <= {*names}
    run("import importlib\nfor name in sys.argv[1:]: importlib.import_module(name)", *names)


def test_the_command_completes_with_the_embedded_model(tmp_path: Path) -> None:
    code = tmp_path / "code.py"
    code.write_text("def total(values):\n    for key, value in values.():\n        print(key)\n")
    text = run("from starloom.cli import app; app()", "complete", f"{code}:2:30", "--max-tokens", "4")
    assert text.startswith("items")
