"""What detectors return: a span of the text, what kind of thing it is and which rule says so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The kinds that are replaced; StarPII's labels but USERNAME and AMBIGUOUS (StarCoder 2 paper, section 3.2)."""

    KEY = "KEY"
    PASSWORD = "PASSWORD"
    EMAIL = "EMAIL"
    IP_ADDRESS = "IP_ADDRESS"
    NAME = "NAME"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """`text[start:end] == value`, in characters of Python's string."""

    start: int
    end: int
    kind: Kind
    value: str
    rule: str


def span(text: str, start: int, end: int, kind: Kind, rule: str) -> Finding:
    """The finding of that kind at `text[start:end]`."""
    return Finding(start, end, kind, text[start:end], rule)


def lowered(text: str) -> str:
    """The text in lower case, every character in its old place (one, U+0130, would become two)."""
    return text.replace("\u0130", "I").lower()


def occurrences(lower: str, word: str) -> Iterator[int]:
    """Where `word` stands, without overlaps."""
    at = lower.find(word)
    while at >= 0:
        yield at
        at = lower.find(word, at + len(word))
