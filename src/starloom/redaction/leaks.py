"""The rules of betterleaks, a library made from Go, over a text.

Each of its habits that would lose a secret is met here: it stops at NUL, obeys comments that forbid it to look, gives columns in
bytes, and takes time that grows with the square of a line's secrets. So texts go in by blocks, and a secret is found again by its
value on its line. In a forked child the library hangs when the parent has used it; that is refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

from starloom.core.errors import StarloomError, require
from starloom.redaction.finding import Finding, Kind, span
from starloom.redaction.plausibility import is_key, is_password, is_placeholder

_BLOCK = 60_000
_OVERLAP = 2_000
_FORBIDDEN = re.compile(r"leaks:allow", re.IGNORECASE)
_UNUSABLE = re.compile("[\0\ud800-\udfff]")
_PASSWORD_RULES = ("password", "credential-uri", "auth-user")
_GENERIC = "generic"
_OURS = frozenset({"private-key"})
"""Rules that we have and that ask for less there: a head without a key."""

_used_in: int | None = None


def leaks(text: str) -> Iterator[Finding]:
    """What betterleaks finds. Raises `MissingExtraError` without it, `StarloomError` in a forked child."""
    library = _library()
    clean = _FORBIDDEN.sub("leaks_allow", _UNUSABLE.sub(" ", text))
    for start, end in _blocks(clean):
        yield from _scan(library, text, clean, start, end)


def _library() -> Any:
    global _used_in
    library = require("betterleaks", "data")
    if _used_in is not None and _used_in != os.getpid():
        raise StarloomError("betterleaks was used before this process was forked and would hang here: start processes by spawn")
    _used_in = os.getpid()
    return library


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Pieces of at most 60,000 characters, cut at ends of lines where there are any, each 2,000 into the one before."""
    start = 0
    while start < len(text):
        end = min(len(text), start + _BLOCK)
        if end < len(text):
            end = max(text.rfind("\n", start + _BLOCK // 2, end) + 1, 0) or end
        yield start, end
        start = end if end == len(text) else max(end - _OVERLAP, start + 1)


def _scan(library: Any, text: str, clean: str, start: int, end: int) -> Iterator[Finding]:
    found = library.scan_string(clean[start:end])
    if not found:
        return
    lines = [start, *(start + match.end() for match in re.finditer("\n", clean[start:end]))]
    searched: dict[tuple[int, str], int] = {}
    for item in (item for item in found if item.rule_id not in _OURS):
        first = lines[min(max(item.location.start_line, 1), len(lines)) - 1]
        value = item.match.value
        at = clean.find(value, searched.get((first, value), first), end) if value else -1
        if at < 0:
            continue
        searched[first, value] = at + len(value)
        yield from _judged(text, at, at + len(value), item.rule_id, item.confidence)


def _judged(text: str, start: int, end: int, rule: str, confidence: str) -> Iterator[Finding]:
    """Its specific rules are trusted; its general ones must pass ours."""
    kind = Kind.PASSWORD if any(word in rule for word in _PASSWORD_RULES) else Kind.KEY
    value, before = text[start:end], text[max(0, start - 40) : start].rpartition("\n")[2]
    if _GENERIC in rule or confidence == "low":
        good = is_password(value) if kind is Kind.PASSWORD else is_key(value, before)
    else:
        good = not is_placeholder(value[:200])
    if good:
        yield span(text, start, end, kind, f"betterleaks: {rule}")
