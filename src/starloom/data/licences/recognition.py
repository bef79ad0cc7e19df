"""The licences that a passage of words states: whole texts first, then notices in what is left, then what is merely vague.

Remembers its answers by the words, since a repository repeats one header in thousands of files.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from starloom.data.licences.notices import notices_in, offers_choice, vague_in, without_silent
from starloom.data.licences.texts import texts_in

REMEMBERED = 20_000  # passages


@dataclass(frozen=True, slots=True)
class Match:
    """A passage states `expression`: as a whole `text` (score: the part of the text that is there), or in a `notice` (1)."""

    expression: str
    rule: str
    score: float


def recognise(words: list[str]) -> tuple[Match, ...]:
    """What `words` state; empty when they state nothing that is known."""
    return _recognised(" ".join(words))


@lru_cache(maxsize=REMEMBERED)
def _recognised(passage: str) -> tuple[Match, ...]:
    words = without_silent(passage).split()
    texts, left = texts_in(words)
    whole = [Match(text.identifier, "text", text.score) for text in texts]
    named, known = notices_in(left), {text.identifier for text in texts}
    notices = [Match(name, "notice", 1.0) for name in named if name not in known and not _says_less(name, {*known, *named})]
    found = [*whole, *notices]
    if len(found) == 2 and offers_choice(left):
        return (Match(" OR ".join(match.expression for match in found), "choice", min(match.score for match in found)),)
    return tuple(found) or tuple(Match(name, "vague", 1.0) for name in vague_in(left))


def _says_less(name: str, others: set[str]) -> bool:
    """Whether this is BSD without a number of clauses, and one of `others` has it."""
    return name == "LicenseRef-BSD" and any(other.startswith("BSD-") for other in others)
