import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from starloom.cli import app, tokenize
from starloom.contract import Tokenizer
from starloom.core.errors import FormatError, InputError, SettingsError, StarloomError


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(["def f(x):\n    return x\n"] * 3, 310)


@pytest.fixture
def model(tokenizer: Tokenizer, tmp_path: Path) -> Path:
    tokenizer.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "code.py"
    path.write_bytes(b"def f(x):\r\n    return '<fim_middle>\xff'\n")
    return path


def run(*arguments: object, stdin: bytes = b"") -> str:
    result = CliRunner().invoke(app, ["tokenize", *map(str, arguments)], input=stdin)
    if isinstance(result.exception, StarloomError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_ids_on_one_line(tokenizer: Tokenizer, model: Path, file: Path) -> None:
    expected = tokenizer.encode(file.read_bytes())
    assert run(file, "--model", model) == " ".join(map(str, expected)) + "\n"
    assert run(file, "--vocab", model / "tokenizer.json") == " ".join(map(str, expected)) + "\n"


def test_json_arrays_one_for_each_file(tokenizer: Tokenizer, model: Path, file: Path) -> None:
    lines = run(file, "-", "--model", model, "--json", stdin=b"x\n").splitlines()
    assert [json.loads(line) for line in lines] == [tokenizer.encode(file.read_bytes()), tokenizer.encode("x\n")]


def test_an_empty_input_has_no_ids(model: Path) -> None:
    assert run("-", "--model", model) == "\n"
    assert run("-", "--model", model, "--json") == "[]\n"


def test_special_tokens_only_when_asked_for(tokenizer: Tokenizer, model: Path, file: Path) -> None:
    middle = tokenizer.special_ids["<fim_middle>"]
    assert middle not in json.loads(run(file, "--model", model, "--json"))
    assert json.loads(run(file, "--model", model, "--json", "--special")).count(middle) == 1


def test_bytes_that_the_published_vocabulary_lacks(published_path: Path, file: Path) -> None:
    with pytest.raises(InputError, match=r"code\.py: byte 0xFF at offset 35"):
        run(file, "--vocab", published_path)
    assert json.loads(run(file, "--vocab", published_path, "--json", "--replace"))


@pytest.fixture
def published_path() -> Path:
    path = Path(__file__).parents[2].parent / "shared" / "data" / "tokenizer" / "ggml-vocab-starcoder.gguf"
    if not path.is_file():
        pytest.skip("the published vocabulary, ../shared/data/tokenizer/ggml-vocab-starcoder.gguf, is not here")
    return path


def test_unusable_inputs(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="this is a directory"):
        run(tmp_path, "--model", model)
    with pytest.raises(InputError, match="absent: there is no such file"):
        run(tmp_path / "absent", "--model", model)
    monkeypatch.setattr(tokenize, "LIMIT", 10)
    (tmp_path / "large").write_bytes(b"x" * 11)
    with pytest.raises(InputError, match="large: this has more than 10 bytes"):
        run(tmp_path / "large", "--model", model)
    with pytest.raises(InputError, match="-: this has more than 10 bytes"):
        run("-", "--model", model, stdin=b"x" * 11)


def test_unusable_models(model: Path, file: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no tokenizer at"):
        run(file, "--model", tmp_path / "absent")
    with pytest.raises(FormatError, match=r"code\.py"):
        run(file, "--vocab", file)
    with pytest.raises(SettingsError, match="give one of them"):
        run(file, "--model", model, "--vocab", model)


def test_from_the_shell_an_error_is_one_line(model: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "starloom", "tokenize", "-", "absent", "--model", str(model)]
    result = subprocess.run(command, input=b"x", capture_output=True, cwd=tmp_path)
    assert result.returncode == 1
    assert result.stdout.strip().isdigit()
    assert result.stderr == b"starloom: absent: there is no such file\n"
