"""Scores of completions: is the first line the one that was there, how near does it come, did the model stop there.

A system is a callable from prefix and suffix to an answer; what is behind it is no business of this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from starloom.evaluate.infilling import Example


@dataclass(frozen=True)
class Answer:
    """A completion; `ended` says whether the model itself stopped there, None when it is only asked for one line."""

    text: str
    ended: bool | None = None


Generator = Callable[[bytes, bytes], Answer | str]
"""Completes what stands between a prefix and a suffix; a plain text says nothing about its end."""


@dataclass(frozen=True)
class Outcome:
    """An answer with its scores.

    `exact`: the first line is that of the file, up to white space at its end (for `line` at both ends).
    `similarity`: of the same two lines, 1 - edit distance / length of the longer one.
    `whole`: the model stopped by itself and its completion is the middle, byte for byte; None where it cannot stop.
    """

    example: Example
    answer: Answer
    exact: bool
    similarity: float
    whole: bool | None


def outcomes(examples: Iterable[Example], generator: Generator) -> Iterator[Outcome]:
    """Ask `generator` for each example, one after the other."""
    for example in examples:
        yield outcome(example, generator(example.prefix, example.suffix))


def outcome(example: Example, given: Answer | str) -> Outcome:
    """Score one answer."""
    answer = Answer(given) if isinstance(given, str) else given
    strip = str.strip if example.kind == "line" else str.rstrip
    written, real = strip(first_line(answer.text)), strip(example.middle)
    whole = None if answer.ended is None else answer.ended and answer.text == example.middle
    return Outcome(example, answer, written == real, similarity(written, real), whole)


def first_line(text: str) -> str:
    """What stands before the first line end."""
    return text.split("\n", 1)[0]


def similarity(first: str, second: str) -> float:
    """1 for equal texts, 0 for texts that have nothing in common: 1 - Levenshtein distance / length of the longer."""
    longer = max(len(first), len(second))
    return 1 - _distance(first, second) / longer if longer else 1.0


def _distance(first: str, second: str) -> int:
    """The fewest insertions, deletions and replacements of characters from one to the other, row by row."""
    above = list(range(len(second) + 1))
    for row, one in enumerate(first, 1):
        here = [row]
        for column, other in enumerate(second, 1):
            here.append(min(above[column] + 1, here[-1] + 1, above[column - 1] + (one != other)))
        above = here
    return above[-1]
