"""The engine on the embedded model in float32 against the PyTorch model: the same greedy text at places in real files."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import starloom
from starloom.contract import Contract, Prompt, embedded_model
from starloom.contract.fitting import fitted_prompt
from starloom.engine import Engine
from starloom.model import StarCoder2, completion_of, generate

pytest.importorskip("starloom.engine._native", reason="the native module is not built")

SOURCES = sorted(Path(starloom.__file__).parent.rglob("*.py"))
MAX_TOKENS = 24


@pytest.fixture(scope="module")
def contract() -> Contract:
    return Contract.of(embedded_model())


@pytest.fixture(scope="module")
def oracle() -> StarCoder2:
    torch.set_num_threads(1)
    return StarCoder2.open(embedded_model())


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine.open(quant="f32", wide=True, threads=1) as engine:
        yield engine


def prompts(contract: Contract, count: int) -> list[Prompt]:
    """Cursors in our own sources: mostly within a line with text behind it, some at a file's end."""
    draw, found = random.Random(5), []
    while len(found) < count:
        text = draw.choice(SOURCES).read_bytes()
        if len(text) > 200:
            cut = draw.randrange(100, len(text))
            while text[cut] & 0xC0 == 0x80:
                cut -= 1
            suffix = text[cut + draw.randrange(40) :] if draw.random() < 0.8 else b""
            room = draw.choice([100, 300, 600, 1000]) - MAX_TOKENS
            found.append(fitted_prompt(contract, text[:cut], suffix.decode(errors="ignore").encode(), room=room))
    return found


def check(engine: Engine, oracle: StarCoder2, contract: Contract, count: int) -> None:
    for prompt in prompts(contract, count):
        expected = completion_of(generate(oracle, contract, prompt, max_tokens=MAX_TOKENS))
        found = engine.generate(prompt, max_tokens=MAX_TOKENS)
        assert (found.text, found.ids, found.finish_reason) == (expected.text, expected.ids, expected.finish_reason)


def test_greedy_text_is_the_oracles(engine: Engine, oracle: StarCoder2, contract: Contract) -> None:
    check(engine, oracle, contract, 20)


@pytest.mark.slow
def test_greedy_text_is_the_oracles_at_many_places(engine: Engine, oracle: StarCoder2, contract: Contract) -> None:
    check(engine, oracle, contract, 200)


def test_scores_are_the_oracles(engine: Engine, oracle: StarCoder2, contract: Contract) -> None:
    ids = [contract.marks.file_sep, *contract.tokenizer.encode(SOURCES[3].read_bytes())][:300]
    scores = engine.score(ids[100:], ids[:100], alternatives=2)
    with torch.inference_mode():
        expected = oracle(torch.tensor([ids]))[0].log_softmax(-1)
    assert scores.ids == ids[100:]
    places = torch.arange(99, len(ids) - 1)
    assert np.allclose(scores.log_probabilities, expected[places, torch.tensor(ids[100:])], atol=1e-4)
    top = [[token for token, _ in alternatives] for alternatives in scores.alternatives]
    assert top == expected[places].topk(2).indices.tolist()
    assert engine.score(ids).log_probabilities[100:] == pytest.approx(scores.log_probabilities, abs=1e-4)


def test_many_at_once_write_what_one_writes(engine: Engine, contract: Contract) -> None:
    asked = prompts(contract, 6)
    alone = [engine.generate(prompt, max_tokens=MAX_TOKENS, speculate=False, temperature=0.8, seed=3) for prompt in asked]
    streams = [engine.stream(prompt, max_tokens=MAX_TOKENS, temperature=0.8, seed=3) for prompt in asked]
    for one, stream in zip(alone, streams, strict=True):
        assert completion_of(stream).ids == one.ids  # type: ignore[arg-type]


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_guesses_and_company_change_nothing_in_the_shipped_format(contract: Contract, temperature: float) -> None:
    """As it is shipped: weights, activations, keys and values rounded."""
    asked = prompts(contract, 10)
    options: dict[str, Any] = {"max_tokens": 40, "temperature": temperature, "seed": 1}
    with Engine.open(threads=2) as engine:
        alone = [engine.generate(prompt, **options, speculate=False).ids for prompt in asked]
        engine.learn(SOURCES[0].read_bytes())
        streams = [engine.stream(prompt, **options) for prompt in asked]
        together = [[*stream][-1].completion for stream in streams]
        assert [one.ids for one in together if one] == alone
        assert [engine.generate(prompt, **options).ids for prompt in asked] == alone
        assert engine.stats().accepted > 0


def test_typing_what_was_proposed_is_answered_from_it(engine: Engine) -> None:
    before, behind = b"def total(values):\n    result = 0\n    for key, value in values.", b"\n    return result\n"
    answer = engine.complete(before, behind, max_tokens=16)
    for size in range(1, 9):
        stats = engine.stats()
        again = engine.complete(before + answer.text[:size].encode(), behind, max_tokens=16)
        plain = engine.complete(before + answer.text[:size].encode(), behind, max_tokens=16, speculate=False)
        assert again.ids == plain.ids
        assert engine.stats().guessed > stats.guessed  # a step is counted before the next begins, yet after its text is told
