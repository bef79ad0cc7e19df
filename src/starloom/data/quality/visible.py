"""The text of an HTML page that a reader sees: no tags, comments, scripts and styles; white space collapsed.

One pass forward, so it is linear whatever the page is; what is opened and never closed hides the rest. It is a measure,
not a parser: a `>` inside an attribute's value ends the tag.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

_OPENING = re.compile(r"<(?=[a-zA-Z/!?])")
_HIDDEN = re.compile(r"<(script|style|template)\b", re.IGNORECASE)
_CLOSING = {name: re.compile(rf"</{name}\b", re.IGNORECASE) for name in ("script", "style", "template")}


def visible_text(page: str) -> str:
    """What a reader sees of an HTML page, words separated by single spaces."""
    return " ".join(html.unescape(" ".join(_outside(page))).split())


def _outside(page: str) -> Iterator[str]:
    """The pieces outside of all that is hidden."""
    place = 0
    while opening := _OPENING.search(page, place):
        yield page[place : opening.start()]
        place = _end_of_hidden(page, opening.start())
        if place < 0:
            return
    yield page[place:]


def _end_of_hidden(page: str, start: int) -> int:
    """Where the tag, comment or hidden element that begins at `start` is over; -1 when it never is."""
    if page.startswith("<!--", start):
        return _after(page, "-->", start + 4)
    end = _after(page, ">", start)
    hidden = _HIDDEN.match(page, start)
    if end < 0 or hidden is None:
        return end
    closing = _CLOSING[hidden[1].lower()].search(page, end)
    return -1 if closing is None else _after(page, ">", closing.end())


def _after(page: str, mark: str, start: int) -> int:
    place = page.find(mark, start)
    return -1 if place < 0 else place + len(mark)
