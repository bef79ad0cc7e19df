import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starloom.contract import HeldBack, Tokenizer
from starloom.contract.healing import split_trailing

SPACES = st.text(alphabet=" \t\r\n", max_size=12).map(str.encode)


@given(text=st.binary(max_size=20), spaces=SPACES)
def test_splitting_loses_nothing(text: bytes, spaces: bytes) -> None:
    kept, held_back = split_trailing(text + spaces)
    assert kept + held_back == text + spaces
    assert held_back.endswith(spaces)
    assert held_back.strip() == b""
    assert kept == kept.rstrip()


def test_nothing_held_back_allows_all(tokenizer: Tokenizer) -> None:
    held = HeldBack(tokenizer, b"")
    assert held.allowed() is None
    token = tokenizer.encode("x")[0]
    assert held.accept(token) == b"x"


@given(spaces=SPACES.filter(bool), seed=st.integers(0, 1000))
def test_whatever_is_chosen_the_bytes_come_back(tokenizer: Tokenizer, spaces: bytes, seed: int) -> None:
    held, chosen, completion = HeldBack(tokenizer, spaces), [], b""
    while (allowed := held.allowed()) is not None:
        assert not any(tokenizer.is_special(int(token)) for token in allowed)
        chosen.append(random.Random(seed + len(chosen)).choice(allowed.tolist()))
        completion += held.accept(chosen[-1])
    assert held.rest == b""
    assert tokenizer.decode_bytes(chosen) == spaces + completion


@given(spaces=SPACES, rest=st.text(max_size=10))
def test_the_ids_of_training_are_always_allowed(tokenizer: Tokenizer, spaces: bytes, rest: str) -> None:
    held, completion = HeldBack(tokenizer, spaces), b""
    for token in tokenizer.encode(spaces + rest.encode()):
        allowed = held.allowed()
        assert allowed is None or token in allowed
        completion += held.accept(token)
    assert completion == rest.encode()


def test_a_token_may_go_past_the_end(tokenizer: Tokenizer) -> None:
    (token,) = [place for place, text in enumerate(tokenizer.token_bytes) if text == b"\n   "]
    held = HeldBack(tokenizer, b"\n")
    allowed = held.allowed()
    assert allowed is not None
    assert {tokenizer.token_bytes[place][:1] for place in allowed} == {b"\n"}
    assert token in allowed
    assert np.all(np.diff(allowed) > 0)
    assert held.accept(token) == b"   "
    assert held.allowed() is None


def test_a_token_that_was_not_allowed_is_our_mistake(tokenizer: Tokenizer) -> None:
    with pytest.raises(AssertionError, match="does not agree"):
        HeldBack(tokenizer, b"\n").accept(tokenizer.encode("x")[0])
