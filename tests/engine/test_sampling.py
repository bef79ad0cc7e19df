from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from starloom.core.errors import FormatError, SettingsError
from starloom.engine.requests import Options
from starloom.engine.sampling import Sampler, Sampling, Vocabulary, likeliest, log_softmax

CHANCES = np.array([0.1, 0.5, 0.15, 0.25], np.float32)
LOGITS = np.log(CHANCES)
ALL = Vocabulary(4, [])

rows = arrays.arrays(np.float32, st.integers(1, 40), elements=st.floats(-8, 8, width=16))


def drawn(logits: np.ndarray = LOGITS, vocabulary: Vocabulary = ALL, count: int = 300, **options: Any) -> list[int]:
    sampler = Sampler(Sampling(**({"temperature": 1.0} | options)), vocabulary, [])
    return [sampler.choose(logits.copy()) for _ in range(count)]


def naive(logits: np.ndarray, sampling: Sampling) -> set[int]:
    """The ids that may be drawn, by the definitions."""
    chances = np.exp((logits.astype(np.float64) - logits.max()) / sampling.temperature)
    ids = sorted(range(len(chances)), key=lambda token: (-chances[token], token))[: sampling.top_k]
    whole, before, kept = sum(chances[token] for token in ids), 0.0, []
    for token in ids:
        if sampling.top_p == 1 or before < sampling.top_p * whole:
            kept.append(token)
        before += chances[token]
    return {token for token in kept if chances[token] >= sampling.min_p}


@given(rows, st.sampled_from([None, 1, 3, 30]), st.sampled_from([1.0, 0.9, 0.3, 1e-9]), st.sampled_from([0.0, 0.1, 1.0]))
def test_what_may_be_drawn(logits: np.ndarray, top_k: int | None, top_p: float, min_p: float) -> None:
    sampling = Sampling(temperature=0.7, top_k=top_k, top_p=top_p, min_p=min_p)
    sampler = Sampler(sampling, Vocabulary(len(logits), []), [])
    chances = np.exp((logits.astype(np.float64) - float(logits.max())) / 0.7)
    assert set(sampler._kept(chances).tolist()) == naive(logits, sampling)


def test_chances_are_those_of_the_model() -> None:
    counts = np.bincount(drawn(count=20_000), minlength=4) / 20_000
    assert np.abs(counts - CHANCES).max() < 0.015
    hot = np.bincount(drawn(count=20_000, temperature=2.0), minlength=4) / 20_000
    assert np.abs(hot - np.sqrt(CHANCES) / np.sqrt(CHANCES).sum()).max() < 0.015


def test_each_restriction() -> None:
    assert set(drawn(top_p=0.7)) == {1, 3}
    assert set(drawn(top_k=2)) == {1, 3}
    assert set(drawn(top_k=3, top_p=0.5)) == {1}
    assert set(drawn(min_p=0.29)) == {1, 2, 3}
    assert set(drawn(temperature=1e-30)) == {1}
    assert set(drawn(temperature=0)) == {1}


def test_the_seed_decides_and_completions_of_a_request_differ() -> None:
    assert drawn(seed=1) == drawn(seed=1) != drawn(seed=2)
    first, second = (Sampler(Sampling(temperature=1.0), ALL, [], index) for index in (0, 1))
    assert [first.choose(LOGITS) for _ in range(50)] != [second.choose(LOGITS) for _ in range(50)]
    assert drawn(seed=None) != drawn(seed=None)


def test_forbidden_ids_never_come() -> None:
    vocabulary = Vocabulary(4, [1, 3])
    assert set(drawn(vocabulary=vocabulary)) == {0, 2}
    assert set(drawn(vocabulary=vocabulary, temperature=0)) == {2}
    assert Sampler(Sampling(), ALL, []).choose(LOGITS, np.array([0, 2])) == 2


def test_the_row_of_logits_is_left_as_it_is() -> None:
    logits = LOGITS.copy()
    options: dict[str, Any] = {"logit_bias": {1: -5.0}, "repetition_penalty": 2.0, "temperature": 1.0}
    Sampler(Sampling(**options), Vocabulary(4, [3]), [1]).choose(logits)
    assert (logits == LOGITS).all()


def test_biases() -> None:
    assert set(drawn(temperature=0, logit_bias={0: 9.0})) == {0}
    assert set(drawn(temperature=0, logit_bias={1: -9.0})) == {3}
    with pytest.raises(SettingsError, match="logit_bias names the id 4; the model knows 0 to 3"):
        drawn(logit_bias={4: 1.0})


def test_penalties() -> None:
    logits = np.array([2.0, 1.9, -1.0, -1.1], np.float32)
    repeats = Sampler(Sampling(repetition_penalty=1.5), ALL, [0])
    assert [repeats.choose(logits) for _ in range(3)] == [1, 0, 0]
    below = Sampler(Sampling(repetition_penalty=1.5, logit_bias={0: -9, 1: -9}), ALL, [2])
    assert below.choose(logits) == 3
    often = Sampler(Sampling(frequency_penalty=0.3), ALL, [0, 0, 0, 0])
    assert [often.choose(logits) for _ in range(4)] == [0, 1, 0, 1]
    once = Sampler(Sampling(presence_penalty=0.3), ALL, [])
    assert [once.choose(logits) for _ in range(4)] == [0, 1, 0, 0]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_damaged_logits_are_refused(wrong: float, temperature: float) -> None:
    logits = LOGITS.copy()
    logits[2] = wrong
    with pytest.raises(FormatError, match="not finite"):
        drawn(logits, temperature=temperature)
    with pytest.raises(FormatError, match="not finite"):
        drawn(np.full(4, -np.inf, np.float32), temperature=temperature)


@given(rows, st.integers(0, 50))
def test_log_probabilities_and_alternatives(logits: np.ndarray, count: int) -> None:
    found = log_softmax(logits)
    assert np.exp(found).sum() == pytest.approx(1)
    assert np.allclose(found - found[0], logits.astype(np.float64) - logits[0])
    expected = sorted(range(len(logits)), key=lambda token: (-found[token], token))[:count]
    assert likeliest(found, count) == [(token, found[token]) for token in expected]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"temperature": -1}, "temperature is -1; it must be a number from 0 on"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"temperature": "hot"}, "temperature is 'hot'"),
        ({"top_k": 0}, "top_k is 0; it must be None or a whole number from 1 on"),
        ({"top_k": 1.5}, "top_k is 1.5"),
        ({"top_p": 0}, "top_p is 0; it must be above 0 and at most 1"),
        ({"top_p": 1.1}, "top_p is 1.1"),
        ({"min_p": -0.1}, "min_p is -0.1; it must be a number from 0 to 1"),
        ({"repetition_penalty": 0}, "repetition_penalty is 0; it must be a number above 0"),
        ({"frequency_penalty": math.inf}, "frequency_penalty is inf"),
        ({"presence_penalty": None}, "presence_penalty is None"),
        ({"logit_bias": {-1: 0}}, "a token of logit_bias is -1"),
        ({"logit_bias": {3: math.nan}}, r"logit_bias\[3\] is nan"),
        ({"seed": -1}, "seed is -1"),
        ({"max_tokens": 0}, "max_tokens is 0; it must be at least 1"),
        ({"max_tokens": True}, "max_tokens is True"),
        ({"n": 0}, "n is 0; it must be from 1 to 64"),
        ({"n": 65}, "n is 65; it must be from 1 to 64"),
        ({"n": 3, "best_of": 2}, "best_of is 2; it must be from 3 to 64"),
        ({"log_probabilities": 101}, "log_probabilities is 101; it must be None or from 0 to 100"),
        ({"priority": "high"}, "priority is 'high'"),
        ({"deadline": 0}, "deadline is 0; it must be None or a number of seconds above 0"),
        ({"stop_texts": ["a", ""]}, r"stop_texts is \['a', ''\]"),
        ({"stop_texts": "end"}, "stop_texts is 'end'; it must be a list of texts"),
    ],
)
def test_wrong_options_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Options(**wrong)
