from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starloom.contract import Contract, Tokenizer
from starloom.contract.fitting import fitted_prompt
from starloom.core.errors import InputError

LINES = b"".join(b"value_%d = compute(%d)\n" % (n, n) for n in range(200))


def test_what_fits_is_taken_whole(tokenizer: Tokenizer) -> None:
    contract = Contract(tokenizer)
    assert fitted_prompt(contract, b"a = ", b"\nb = 2\n", room=100) == contract.fill_in_prompt(b"a = ", b"\nb = 2\n")
    assert fitted_prompt(contract, b"a = b", b"\n)", room=100, heal=False) == contract.fill_in_prompt(b"a = b", b"\n)")
    assert fitted_prompt(contract, b"a = 1\n", b" \n", room=100) == contract.continue_prompt(b"a = 1\n")


def test_the_lines_nearest_to_the_cursor_stay(tokenizer: Tokenizer) -> None:
    contract = Contract(tokenizer)
    text = tokenizer.decode_bytes(fitted_prompt(contract, LINES + b"x = ", LINES, room=300, order="psm").ids)
    before, after = text.split(b"x = ")
    assert LINES.endswith(before)
    assert before.startswith(b"value_")
    assert LINES.startswith(after)
    assert after.endswith(b"\n")
    assert len(before) > len(after) > 0.2 * len(text)


def test_a_short_side_leaves_its_room_to_the_other(tokenizer: Tokenizer) -> None:
    contract = Contract(tokenizer)
    for prefix, suffix in ((b"x = ", LINES), (LINES, b"\ny = 2\n")):
        assert len(fitted_prompt(contract, prefix, suffix, room=300).ids) > 260


@given(st.binary(max_size=400), st.binary(max_size=400), st.integers(6, 120))
def test_no_text_exceeds_the_room(tokenizer: Tokenizer, prefix: bytes, suffix: bytes, room: int) -> None:
    prompt = fitted_prompt(Contract(tokenizer), prefix, suffix, room=room, heal=room >= 40)
    assert len(prompt.ids) + len(prompt.held_back) <= room


@pytest.mark.parametrize(
    ("prefix", "kept", "held"),
    [
        (b"return fo", b"return", b" fo"),
        (b"self.na", b"self.", b"na"),
        (b"    valu", b"    ", b"valu"),
        (b"x = [(", b"x =", b" [("),
        (b"x1", b"x", b"1"),
        (b"print(x)\n", b"print(x)\n", b""),
        (b"a" * 33, b"a" * 33, b""),
    ],
)
def test_the_word_that_the_cursor_touches_is_held_back(tokenizer: Tokenizer, prefix: bytes, kept: bytes, held: bytes) -> None:
    contract = Contract(tokenizer)
    prompt = fitted_prompt(contract, prefix, b"\nend\n", room=100)
    assert prompt.ids == contract.fill_in_prompt(kept, b"\nend\n").ids
    assert prompt.held_back == held


def test_no_room_at_all_is_said(tokenizer: Tokenizer) -> None:
    with pytest.raises(InputError, match="room for a prompt of 5 tokens"):
        fitted_prompt(Contract(tokenizer), b"a", b"b", room=5)
