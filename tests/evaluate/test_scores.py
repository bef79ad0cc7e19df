"""Scores of generators whose marks are known beforehand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starloom.evaluate import Answer, Example, examples, outcomes, summarise
from starloom.evaluate.infilling import KINDS, Kind
from starloom.evaluate.scores import outcome, similarity

Documents = list[tuple[str, str, str]]
TEXT = st.text(alphabet="abc é", max_size=12)


class Oracle:
    """Knows the files; `more` is what it writes behind the right middle."""

    def __init__(self, found: list[Example], more: str = "", ended: bool | None = True) -> None:
        self._middles = {(example.prefix, example.suffix): example.middle for example in found}
        self._more, self._ended = more, ended

    def __call__(self, prefix: bytes, suffix: bytes) -> Answer:
        return Answer(self._middles[prefix, suffix] + self._more, self._ended)


@pytest.mark.parametrize("kind", KINDS)
def test_an_oracle_is_always_right(documents: Documents, kind: Kind) -> None:
    found = examples(documents, kind=kind, count=40)
    summary = summarise(list(outcomes(found, Oracle(found))))
    assert (summary.exact.share, summary.similarity) == (1.0, 1.0)
    assert summary.whole is not None
    assert summary.whole.count == 40


def test_an_oracle_that_goes_on_is_exact_but_not_whole(documents: Documents) -> None:
    found = examples(documents, kind="line_end", count=40)
    summary = summarise(list(outcomes(found, Oracle(found, "  \nand more"))))
    assert summary.exact.share == 1.0
    assert summary.whole is not None
    assert summary.whole.count == 0


def test_silence_is_never_right(documents: Documents) -> None:
    found = examples(documents, kind="line", count=40)
    summary = summarise(list(outcomes(found, lambda prefix, suffix: "")))
    assert (summary.exact.count, summary.similarity, summary.whole) == (0, 0.0, None)


@pytest.mark.parametrize(
    ("text", "exact"),
    [("return x + 1", True), ("  return x + 1 \r\nprint()", True), ("return x", False), ("\nreturn x + 1", False), ("", False)],
)
def test_the_first_line_counts(example: Example, text: str, exact: bool) -> None:
    assert outcome(example, text).exact is exact


def test_white_space_in_front_matters_from_mid_line(example: Example) -> None:
    example = replace(example, kind="line_end", prefix=b"def f(x):\n    return", middle=" x + 1")
    assert outcome(example, " x + 1").exact
    assert not outcome(example, "x + 1").exact


@pytest.mark.parametrize(
    ("answer", "whole"),
    [
        (Answer("return x + 1", True), True),
        (Answer("return x + 1", False), False),
        (Answer("return x + 1 ", True), False),
        (Answer("return x + 1"), None),
    ],
)
def test_whole_means_stopped_at_the_last_byte(example: Example, answer: Answer, whole: bool | None) -> None:
    assert outcome(example, answer).whole is whole


@pytest.mark.parametrize(
    ("first", "second", "expected"), [("", "", 1.0), ("a", "", 0.0), ("kitten", "sitting", 1 - 3 / 7), ("ab", "ba", 0.0)]
)
def test_similarity_of_known_pairs(first: str, second: str, expected: float) -> None:
    assert similarity(first, second) == pytest.approx(expected)


@given(first=TEXT, second=TEXT, tail=TEXT)
def test_similarity_is_symmetric_and_bounded(first: str, second: str, tail: str) -> None:
    value = similarity(first, second)
    assert value == similarity(second, first)
    assert 0.0 <= value <= 1.0
    assert (value == 1.0) == (first == second)
    assert similarity(first + tail, second + tail) >= value
