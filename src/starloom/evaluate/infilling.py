"""Examples of single-line completion: real lines of held-out files, taken out, with all that stands around them.

`line` takes out a whole line's text, the cursor behind its indentation; `line_end` what follows a random column inside
the line's text. Comments and docstrings count as lines; lines without a letter or digit, such as `)`, do not.
Knows nothing of models or of how much of a file one can see.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Literal, get_args

from starloom.core.errors import InputError, SettingsError
from starloom.evaluate.documents import Document, balanced

Kind = Literal["line", "line_end"]
KINDS: tuple[Kind, ...] = get_args(Kind)

LINES_BEFORE, LINES_AFTER = 5, 3
"""How many lines a file must have around the one that is taken out."""


@dataclass(frozen=True)
class Example:
    """One line of a file: `prefix + middle + suffix` is the whole text. `line` counts from 1.

    The middle has no line end; the suffix begins with it.
    """

    kind: Kind
    repository: str
    path: str
    line: int
    prefix: bytes
    middle: str
    suffix: bytes


def examples(documents: Iterable[tuple[str, str, str]], *, kind: Kind, count: int, seed: int = 0) -> list[Example]:
    """Draw `count` examples from `(repository, path, text)` documents, evenly over repositories, no line twice.

    The same documents and seed give the same examples. Raises `InputError` when the documents hold too few lines.
    """
    if kind not in KINDS:
        raise SettingsError(f"kind is {kind!r}; it must be one of {', '.join(KINDS)}")
    if count < 1:
        raise SettingsError(f"count is {count}; it must be at least 1")
    drawn = balanced(documents, lambda document, random: _of_document(document, kind, random), seed=f"{seed} {kind}")
    chosen = list(islice(drawn, count))
    if len(chosen) < count:
        raise InputError(f"the documents hold only {len(chosen)} lines to complete, and {count} are asked for")
    return chosen


def _of_document(document: Document, kind: Kind, random: Random) -> Iterator[Example]:
    lines = document.text.removesuffix("\n").split("\n")
    usable = [place for place in range(LINES_BEFORE, len(lines) - LINES_AFTER) if _is_usable(lines[place], kind)]
    for place in random.sample(usable, len(usable)):
        yield _example(document, lines, place, kind, random)


def _is_usable(line: str, kind: Kind) -> bool:
    """Whether the line says something, and for `line_end` has a column inside its text."""
    return any(map(str.isalnum, line)) and (kind == "line" or len(line.strip()) > 1)


def _example(document: Document, lines: list[str], place: int, kind: Kind, random: Random) -> Example:
    line = lines[place]
    first = len(line) - len(line.lstrip())
    column = first if kind == "line" else random.randrange(first + 1, len(line.rstrip()))
    start = sum(map(len, lines[:place])) + place
    middle = line[column:].removesuffix("\r")
    cut = start + column
    prefix, suffix = document.text[:cut], document.text[cut + len(middle) :]
    return Example(kind, document.repository, document.path, place + 1, prefix.encode(), middle, suffix.encode())
