"""Examples to look at, as Markdown: what stands around the cursor, what was there, what each system wrote.

Chosen by chance alone, so that a reader sees what a system is like and not what it is like at its best.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from random import Random

from starloom.core.errors import MismatchError
from starloom.evaluate.infilling import Example
from starloom.evaluate.report import KIND_TITLES
from starloom.evaluate.scores import Outcome

CURSOR = "▮"
MOST_CHARACTERS = 120
"""Longer completions are cut, since they are only shown to be looked at."""


def samples(outcomes: Mapping[str, Sequence[Outcome]], *, count: int, seed: int = 0, before: int = 6, after: int = 3) -> str:
    """`count` examples at random, by system; each shows `before` lines up to the cursor and `after` lines behind it.

    All systems must hold the same examples in the same order, else `MismatchError`.
    """
    asked = [[outcome.example for outcome in found] for found in outcomes.values()]
    if any(examples != asked[0] for examples in asked[1:]):
        raise MismatchError("the systems were not asked the same examples: they cannot be shown side by side")
    places = Random(f"{seed} samples").sample(range(len(asked[0])), min(count, len(asked[0])))
    parts = []
    for number, place in enumerate(places, 1):
        answers = {system: found[place] for system, found in outcomes.items()}
        parts.append(_sample(number, asked[0][place], answers, before, after))
    return "\n".join(parts)


def _sample(number: int, example: Example, answers: Mapping[str, Outcome], before: int, after: int) -> str:
    title = f"**{number}. {example.repository}**, `{example.path}`, line {example.line}, {KIND_TITLES[example.kind]}"
    shown = _surroundings(example, before, after)
    fence = "`" * max(3, 1 + _longest_run(shown))
    lines = [title, "", f"{fence}python", shown, fence, "", f"- really: {_code(example.middle)}"]
    lines += [f"- {system}, {_verdict(outcome)}: {_code(outcome.answer.text)}" for system, outcome in answers.items()]
    return "\n".join(lines) + "\n"


def _surroundings(example: Example, before: int, after: int) -> str:
    """The nearest lines around the cursor, which is shown as a block."""
    prefix = example.prefix.decode(errors="replace").split("\n")[-before:]
    suffix = example.suffix.decode(errors="replace").split("\n")[: after + 1]
    return ("\n".join(prefix) + CURSOR + "\n".join(suffix)).replace("\r", "")


def _verdict(outcome: Outcome) -> str:
    if outcome.exact:
        return "exact, but it went on" if outcome.whole is False else "exact"
    return f"wrong (similarity {outcome.similarity:.2f})"


def _code(text: str) -> str:
    """`text` on one line as Markdown code; line ends are shown as ⏎, and an empty text is said to be so."""
    if not text:
        return "(nothing)"
    shown = text[:MOST_CHARACTERS].replace("\r", "").replace("\n", "⏎")
    fence = "`" * (1 + _longest_run(shown))
    return f"{fence} {shown} {fence}" + (" ..." if len(text) > MOST_CHARACTERS else "")


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
