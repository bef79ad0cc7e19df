"""`starloom bench`: a model and random weights, measured for a moment."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from starloom.cli import app
from starloom.contract.embedded import embedded_model

KEYS = {
    *("prefill_tokens_per_s", "decode_tokens_per_s", "first_token_ms", "peak_rss_bytes"),
    *("read_bandwidth_share", "int8_peak_share"),
}


def run(*arguments: str):
    return CliRunner().invoke(app, ["bench", "--rounds", "1", "--threads", "1", "--depth", "64", *arguments])


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("STARLOOM_CACHE", str(tmp_path))


def test_the_last_line_is_json():
    done = run()
    assert done.exit_code == 0, done.output
    table, last = done.stdout.strip().rsplit("\n", 1)
    values = json.loads(last)
    assert values.keys() >= KEYS
    assert all(values[name] > 0 for name in KEYS)
    assert values["model"] == str(embedded_model())
    assert values["decode_depth"] == 64
    assert "limit: reading weights" in table


@pytest.mark.parametrize("quant", ["q8", "q4"])
def test_random_weights_of_a_shape(quant):
    done = run("--shape", "5m", "--quant", quant, "--json")
    assert done.exit_code == 0, done.output
    values = json.loads(done.stdout)
    assert values.keys() >= KEYS
    assert (values["weights"], values["threads"], values["rounds"]) == (quant, 1, 1)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--shape", "4b"), "there is no preset '4b'"),
        (("--quant", "q3"), "'q3'"),
        (("model", "--shape", "3b"), "not both"),
        (("--rounds", "0"), "rounds is 0"),
        (("--threads", "0"), "'threads' is 0"),
    ],
)
def test_mistakes_are_named(arguments, says):
    done = run(*arguments)
    assert done.exit_code == 1
    assert says in str(done.exception)
