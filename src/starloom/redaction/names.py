"""Names of people in the lines that credit them: copyright, author, maintainer, sign-off.

A name is two to four words with capitals; organisations are told by words such as `Inc` or `Foundation`. Names anywhere else need
a model of language and are not looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from starloom.redaction.finding import Finding, Kind, lowered, occurrences, span
from starloom.redaction.words import words

_CREDIT = re.compile(
    r"copyright|@author|\b(?:module|section)?authors?\b|__author__|©|written by|maintainers?\b|signed-off-by|authored-by|"
    r"reviewed-by|contributors?\b|contributed by|last-translator|^\W{0,6}created by|^ -- (?=[^<\n]{3,60} <[^>\n]{1,80}>  )|"
    r"(?<!\w)\(c\) (?=\d{4}|[^\n]{3,40}\b(?:19|20)\d\d\b)",
    re.MULTILINE,
)
_GATE = (
    "copyright", "author", "©", "written by", "maintainer", "signed-off-by", "reviewed-by", "contribut", "-translator",
    "created by", "\n -- ", "(c) ",
)  # fmt: skip
_MAX_LINE, _MAX_BEFORE, _MAX_CREDIT = 300, 10, 200
_WORD = re.compile(r"[^\W\d_][\w'’.-]{0,40}|[,;&<(|/]")
_PARTICLES = words("name_particles")
_NOT_PEOPLE = words("not_people")


def names(text: str) -> Iterator[Finding]:
    """Full names in credit lines (comments and metadata)."""
    lower = lowered(text)
    done = 0
    for at in sorted(at for word in _GATE for at in occurrences(lower, word)):
        match = _CREDIT.search(lower, max(done, at - _MAX_BEFORE), at + _MAX_CREDIT) if at >= done else None
        if match:
            end = text.find("\n", match.end(), match.end() + _MAX_LINE)
            done = end if end >= 0 else min(len(text), match.end() + _MAX_LINE)
            yield from _names_in(text, match.end(), done)


def _names_in(text: str, start: int, end: int) -> Iterator[Finding]:
    run: list[re.Match[str]] = []
    for word in _WORD.finditer(text, start, end):
        capital = word[0][0].isupper()
        if run and (capital or word[0] in _PARTICLES) and text[run[-1].end() : word.start()].isspace():
            run.append(word)
            continue
        yield from _name(text, run)
        run = [word] if capital else []
    yield from _name(text, run)


def _is_no_name(word: re.Match[str]) -> bool:
    bare = word[0].lower().rstrip(".,'’")
    return len(bare) > 1 and bare in _NOT_PEOPLE


def _name(text: str, run: list[re.Match[str]]) -> Iterator[Finding]:
    while run and run[-1][0] in _PARTICLES:
        run = run[:-1]
    if not 2 <= len(run) <= 5 or any(map(_is_no_name, run)):
        return
    last = run[-1][0].rstrip(".'’-")
    initials = sum(len(word[0].rstrip(".")) == 1 for word in run)
    shouted = all(word[0].isupper() and len(word[0]) > 3 for word in run)
    if initials == len(run) or (len(last) == 1 and len(run) == 2) or shouted:
        return
    yield span(text, run[0].start(), run[-1].start() + len(last), Kind.NAME, "credit")
