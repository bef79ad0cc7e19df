from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CODE = 'import os\r\n\r\n\r\ndef gr\u00f6\u00dfe(pfad):\r\n    return os.stat(pfad).\r\n\r\nprint(gr\u00f6\u00dfe("."))\r\n'


def _starloom(*words: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, "-m", "starloom", *map(str, words)], input=stdin, capture_output=True, env=environment)


def _complete(*words: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return _starloom("complete", *words, stdin=stdin)


@pytest.fixture
def code(tmp_path: Path) -> Path:
    path = tmp_path / "code.py"
    path.write_bytes(CODE.encode())
    return path


def _text(done: subprocess.CompletedProcess[bytes]) -> str:
    assert done.returncode == 0, done.stderr.decode()
    text = json.loads(done.stdout)["text"]
    assert isinstance(text, str)
    return text


def test_json_diff_stream_and_standard_input_tell_the_same(code: Path, model: Path) -> None:
    words = ("--model", model, "--max-tokens", "6")
    done = _complete(f"{code}:5", *words, "--json")
    answer = json.loads(done.stdout)
    assert answer.keys() == {"text", "tokens", "finish_reason"}
    assert answer["finish_reason"] in ("stop", "length")
    assert len(answer["tokens"]) <= 6
    assert _complete(f"{code}:5", *words).stdout.decode() == answer["text"] + "\n"
    assert _text(_complete("-:5", *words, "--json", stdin=CODE.encode())) == answer["text"]
    diff = _complete(f"{code}:5:26", *words, "--diff").stdout.decode()
    assert diff.startswith(f"--- a/{code}\n+++ b/{code}\n")
    assert "\n+    return os.stat(pfad)." in diff
    assert code.read_bytes() == CODE.encode()


def test_seeds_repeat_and_stops_stop(code: Path, model: Path) -> None:
    words = (f"{code}:5", "--model", model, "--max-tokens", "12", "--temperature", "2", "--json")
    first, again, other = (_text(_complete(*words, "--seed", seed)) for seed in ("1", "1", "2"))
    assert first == again != other
    assert len(first) > 2
    stopped = json.loads(_complete(*words, "--seed", "1", "--stop", first[1]).stdout)
    assert stopped["text"] == first[: first.index(first[1])]
    assert stopped["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("content", "position", "message"),
    [
        (b"", "", "is empty"),
        (b"a\0b", "", "binary file: it holds a NUL byte at offset 1"),
        (b"caf\xe9", "", "not UTF-8: the byte 0xE9 at offset 3"),
        (b"a\nb", ":3", "has no line 3: it has lines 1 to 2"),
        (b"a\nb", ":0", "has no line 0"),
        (b"a\nb", ":2:3", "line 2 of .* has no column 3: it has columns 1 to 2"),
        (b"x" * (16 * 2**20 + 1), "", "larger than 16 MiB"),
    ],
)
def test_what_cannot_be_completed_is_said(tmp_path: Path, model: Path, content: bytes, position: str, message: str) -> None:
    path = tmp_path / "file.py"
    path.write_bytes(content)
    _check_refusal(_complete(f"{path}{position}", "--model", model), message)


def test_a_gigabyte_is_refused_without_reading_it(tmp_path: Path, model: Path) -> None:
    path = tmp_path / "huge.py"
    with path.open("wb") as stream:
        stream.truncate(2**30)
    _check_refusal(_complete(path, "--model", model), "larger than 16 MiB")


def test_missing_files_folders_and_models_are_said(code: Path, model: Path, tmp_path: Path) -> None:
    _check_refusal(_complete(tmp_path / "absent.py", "--model", model), "there is no file")
    _check_refusal(_complete(tmp_path, "--model", model), "is not a file")
    _check_refusal(_complete(code, "--model", tmp_path / "absent"), "absent")
    _check_refusal(_complete(code, "--model", code), "code.py")
    _check_refusal(_complete(code, "--model", model, "--max-tokens", "0"), "max_tokens is 0")
    _check_refusal(_complete(code, "--model", model, "--max-tokens", "256"), "room")
    _check_refusal(_complete(code, "--model", model, "--json", "--diff"), "exclude each other")


def _check_refusal(done: subprocess.CompletedProcess[bytes], message: str) -> None:
    error = done.stderr.decode()
    assert done.returncode == 1, error
    assert done.stdout == b""
    assert error.count("\n") == 1, error
    assert re.search(message, error), error


def test_a_truncated_model_is_one_clear_message(code: Path, model: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(model, broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    _check_refusal(_complete(code, "--model", broken), r"model\.safetensors")


def test_the_door_imports_nothing_heavy() -> None:
    program = "import sys, starloom.cli; print(sorted({'torch', 'numpy', 'tokenizers', 'pyarrow'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"
