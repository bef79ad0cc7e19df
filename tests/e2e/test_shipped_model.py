"""What ships inside the package: small, whole, described, and good for something."""

from __future__ import annotations

from pathlib import Path

import pytest

import starloom
from starloom.contract import Contract, embedded_model
from starloom.contract.fitting import fitted_prompt
from starloom.model import StarCoder2, completion_of, generate

FOLDER = Path(starloom.__file__).parent / "embedded"


@pytest.fixture(scope="module")
def model() -> StarCoder2:
    return StarCoder2.open(embedded_model())


def test_it_is_small_and_has_its_cards() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 25e6
    for card, words in {"MODEL_CARD.md": ["tokens trained on", "SmolLM2"], "DATA_CARD.md": ["licence", "validation"]}.items():
        text = (FOLDER / card).read_text()
        assert all(word in text for word in words)


@pytest.mark.parametrize(
    ("prefix", "suffix", "expected"),
    [
        ("import os\n\n\nclass Point:\n    def __init__(self, x, y):\n        self.x = x\n        self.", "\n", "y = y"),
        ("def total(values):\n    result = 0\n    for value in values:\n        result += value\n    return ", "\n", "result"),
    ],
)
def test_it_completes_what_is_plain_to_see(model: StarCoder2, prefix: str, suffix: str, expected: str) -> None:
    contract = Contract.of(embedded_model())
    prompt = fitted_prompt(contract, prefix.encode(), (suffix + "\n\nprint(1)\n").encode(), room=500)
    text = completion_of(generate(model, contract, prompt, max_tokens=16)).text
    assert text.split("\n")[0].strip() == expected


def test_it_knows_the_six_fill_in_tokens() -> None:
    marks = Contract.of(embedded_model()).marks
    assert (marks.fim_prefix, marks.fim_middle, marks.fim_suffix) == (1, 2, 3)
