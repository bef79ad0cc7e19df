from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starloom.train.config import CutKind
from starloom.train.cuts import LONGEST_SPAN, MOST_LINES, cut

KINDS = CutKind.__args__  # type: ignore[attr-defined]
CODE = b"def f(a, b):\r\n    return g(a, [b, 1])\n\n\nclass C:\n    x = {'k': 2}\n"


@given(st.text(), st.sampled_from(KINDS), st.integers(0, 1000))
def test_every_cut_gives_back_the_text_and_never_splits_a_character(text: str, kind: str, seed: int) -> None:
    data = text.encode()
    first, last = cut(data, kind, np.random.default_rng(seed))
    assert 0 <= first <= last <= len(data)
    assert data[:first].decode() + data[first:last].decode() + data[last:].decode() == text


@pytest.mark.parametrize("seed", range(50))
def test_a_line_cut_is_one_line_and_keeps_the_line_end_in_the_suffix(seed: int) -> None:
    for kind in ("line_end", "line"):
        first, last = cut(CODE, kind, np.random.default_rng(seed))
        middle = CODE[first:last]
        assert middle.strip()
        assert b"\n" not in middle
        assert b"\r" not in middle
        assert CODE[last : last + 1] in (b"\n", b"\r")


def test_lines_and_spans_have_their_limits() -> None:
    text = b"".join(b"line %d = (%s)\n" % (n, b"x" * n * 40) for n in range(40))
    for seed in range(50):
        first, last = cut(text, "lines", np.random.default_rng(seed))
        assert 1 <= text[first:last].count(b"\n") < MOST_LINES
        first, last = cut(text, "span", np.random.default_rng(seed))
        assert text[first - 1 : first] == b"("
        assert text[last : last + 1] == b")"
        assert 0 < last - first <= LONGEST_SPAN


def test_random_characters_cut_everywhere() -> None:
    cuts = {cut(b"abcd", "characters", np.random.default_rng(seed)) for seed in range(400)}
    assert cuts == {(a, b) for a in range(5) for b in range(a, 5)}
