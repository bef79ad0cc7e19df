"""The whole thread through the command line: a folder of code, documents, tokens, a trained model, a completion."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoTokenizer, Starcoder2ForCausalLM

LICENCE = (Path(__file__).parents[2] / "LICENSE").read_text()


def _starloom(*words: str | Path) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-m", "starloom", *map(str, words)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _repository(folder: Path, number: int) -> Path:
    path = folder / f"repo{number}"
    path.mkdir()
    (path / "LICENSE").write_text(LICENCE)
    for module in range(6):
        names = [f"step_{number}_{module}_{n}" for n in range(12)]
        functions = "".join(f"def {name}(first, second):\n    total = first + second\n    return total\n\n\n" for name in names)
        (path / f"module_{module}.py").write_text(f'"""Module {module} of repository {number}."""\n\n\n{functions}')
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("thread")
    repositories = [_repository(folder, number) for number in range(4)]
    built = folder / "data"
    report = _starloom(
        *("data", "build", *repositories, "--out", built, "--vocab-size", "400", "--validation", "repo3"),
        *("--no-near-duplicates", "--json"),
    )
    kept = json.loads(report.splitlines()[-1])["kept"]
    assert sum(part["files"] for part in kept.values()) == 24
    words = ("train", "debug", "--set", f"data={built}", "--set", "steps=40", "--out", folder / "run")
    _starloom(*words)
    return folder / "run" / "model"


def test_the_trained_model_completes_real_code(model: Path, tmp_path: Path) -> None:
    code = tmp_path / "new.py"
    code.write_text("def step_9(first, second):\n    total = \n    return total\n")
    answer = json.loads(_starloom("complete", f"{code}:2", "--model", model, "--max-tokens", "12", "--json"))
    assert answer["text"]
    assert answer["finish_reason"] in ("stop", "length")


def test_transformers_loads_model_and_tokenizer_unchanged(model: Path) -> None:
    peer = Starcoder2ForCausalLM.from_pretrained(model)
    ids = AutoTokenizer.from_pretrained(model)("total = first", return_tensors="pt").input_ids
    assert peer(ids).logits.shape == (1, ids.shape[1], peer.config.vocab_size)
    printed = _starloom("tokenize", _written(model.parent / "t.py"), "--model", model)
    assert [int(token) for token in printed.split()] == ids[0].tolist()


def _written(path: Path) -> Path:
    path.write_text("total = first")
    return path
