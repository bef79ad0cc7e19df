from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from starloom.contract.starts import Starts

few = st.binary(max_size=4).map(lambda text: bytes(b"\0 a\xff"[byte % 4] for byte in text))


@given(st.lists(few, max_size=30), few.filter(bool))
def test_tokens_that_agree_with_what_is_to_come(tokens: list[bytes], rest: bytes) -> None:
    expected = [place for place, text in enumerate(tokens) if text and (rest.startswith(text) or text.startswith(rest))]
    assert Starts(tokens).agreeing(rest).tolist() == expected
