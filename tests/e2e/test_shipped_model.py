"""What ships inside the package: small, whole, described, and good for something."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch.nn import functional

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


def test_it_has_learned_to_read_python(model: StarCoder2) -> None:
    """Bits a byte on our own sources, which it was not trained on; knowing nothing would cost 8, a good compressor takes 2."""
    contract = Contract.of(embedded_model())
    text = (FOLDER.parent / "core" / "files.py").read_bytes()
    ids = torch.tensor([contract.marks.file_sep, *contract.tokenizer.encode(text)][:500])
    with torch.inference_mode():
        nats = float(functional.cross_entropy(model(ids[None, :-1])[0], ids[1:], reduction="sum"))
    assert nats / math.log(2) / len(contract.tokenizer.decode_bytes(ids.tolist())) < 1.6


def test_it_completes_at_a_cursor(model: StarCoder2) -> None:
    contract = Contract.of(embedded_model())
    prompt = fitted_prompt(contract, b"def total(values):\n    for key, value in values.", b"():\n        print(key)\n", room=200)
    completion = completion_of(generate(model, contract, prompt, max_tokens=4))
    assert completion.text.startswith("items")


def test_it_knows_the_six_fill_in_tokens() -> None:
    marks = Contract.of(embedded_model()).marks
    assert (marks.fim_prefix, marks.fim_middle, marks.fim_suffix) == (1, 2, 3)
