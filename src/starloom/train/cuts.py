"""Where a text is cut into prefix, middle and suffix. Pure functions of bytes and a random generator.

`characters` is StarCoder 2's rule (two uniform cuts). The others look like what people do in an editor:
`line_end` from somewhere in a line to its end, `line` a whole line (with or without its indentation),
`lines` two to eight whole lines, `span` the inside of a pair of brackets. Where a text has no place for the
asked kind, the rule of `characters` is used. Cuts never fall inside a UTF-8 sequence. Tokens are not known here.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

Cut = tuple[int, int]
Random = np.random.Generator

LONGEST_SPAN = 400
MOST_LINES = 8
_LINE = re.compile(rb"[^\r\n]*[^\s][^\r\n]*")
_BRACKET = re.compile(rb"[()\[\]{}]")
_CLOSING = {b"(": b")", b"[": b"]", b"{": b"}"}


def cut(text: bytes, kind: str, random: Random) -> Cut:
    """The first and last offset of the middle in `text`, in bytes, at character borders."""
    found = _KINDS[kind](text, random) or _characters(text, random)
    return _at_character(text, found[0]), _at_character(text, found[1])


def _at_character(text: bytes, offset: int) -> int:
    while offset < len(text) and text[offset] & 0xC0 == 0x80:
        offset += 1
    return offset


def _characters(text: bytes, random: Random) -> Cut:
    first, last = sorted(int(offset) for offset in random.integers(0, len(text) + 1, size=2))
    return first, last


def _pick_line(text: bytes, random: Random) -> re.Match[bytes] | None:
    lines = list(_LINE.finditer(text))
    return lines[int(random.integers(len(lines)))] if lines else None


def _indent(line: re.Match[bytes]) -> int:
    content = line.group()
    return line.start() + len(content) - len(content.lstrip())


def _line_end(text: bytes, random: Random) -> Cut | None:
    line = _pick_line(text, random)
    if line is None:
        return None
    return int(random.integers(_indent(line), line.end())), line.end()


def _line(text: bytes, random: Random) -> Cut | None:
    line = _pick_line(text, random)
    if line is None:
        return None
    return (_indent(line) if random.random() < 0.5 else line.start()), line.end()


def _lines(text: bytes, random: Random) -> Cut | None:
    lines = list(_LINE.finditer(text))
    count = int(random.integers(2, MOST_LINES + 1))
    if len(lines) < count:
        return None
    first = int(random.integers(len(lines) - count + 1))
    start = _indent(lines[first]) if random.random() < 0.5 else lines[first].start()
    return start, lines[first + count - 1].end()


def _span(text: bytes, random: Random) -> Cut | None:
    spans = _bracketed(text)
    return spans[int(random.integers(len(spans)))] if spans else None


def _bracketed(text: bytes) -> list[Cut]:
    """The insides of matching brackets, not empty and not too long; brackets in strings are not told apart."""
    open_: list[tuple[bytes, int]] = []
    spans = []
    for match in _BRACKET.finditer(text):
        bracket = match.group()
        if bracket in _CLOSING:
            open_.append((_CLOSING[bracket], match.end()))
        elif open_ and open_[-1][0] == bracket:
            start = open_.pop()[1]
            if 0 < match.start() - start <= LONGEST_SPAN:
                spans.append((start, match.start()))
    return spans


_KINDS: dict[str, Callable[[bytes, Random], Cut | None]] = {
    "characters": _characters,
    "line_end": _line_end,
    "line": _line,
    "lines": _lines,
    "span": _span,
}
