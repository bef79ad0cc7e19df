"""Where a file may speak of licences, and those passages as plain words: the first and cheapest step of finding a licence.

Most files are settled here: a file without any of a dozen words says nothing of licences. Linear in the length of the text.
Knows no licence.
"""

from __future__ import annotations

import re
from itertools import filterfalse

LONGEST_WORD = 40  # encoded data has longer ones
BEFORE, AFTER = 240, 800  # characters around a telling word: a notice's paragraph, or the next telling word of a longer text

_TELLING = (
    "licen",
    "copyright",
    "copyleft",
    "copying",
    "gpl",
    "gnu ",
    "public domain",
    "public-domain",
    "permission",
    "redistribut",
    "warrant",
    "rights reserved",
    "proprietary",
    "confidential",
    "creative commons",
    "creativecommons",
    "commercial",
    "same terms",
)
_REFUSING = ("may not", "prohibited", "forbidden", "purposes", "use only", "not evil")  # say no without a telling word
_TAG = re.compile(r"<[^<>\n]{0,120}>")
_MARK = re.compile(r"[ \t]*+(#|//|--|;|%)")
_LINES_END = {mark: re.compile(rf"\n(?!\s*+(?:{mark}|\Z))") for mark in ("#", "//", "--", ";", "%")}
_BLOCK_END = re.compile(r"(?:(?!/\*)[^*]|\*(?!/))*+\*/(?:\s*+/\*(?:[^*\n]|\*(?!/))*+\*/)*+")  # and one-line comments behind
_PLAIN = bytes(byte if chr(byte).isalnum() and byte < 0x80 else 0x20 for byte in range(256))
_NOISE = frozenset({"dnl", "rem", "nbsp", "quot", "amp", "emsp"})  # comment markers and entities between the words of a sentence


def passages(lower: str) -> list[str]:
    """The parts of a text in lower case that may speak of licences, in order; overlapping ones are joined."""
    spans: list[tuple[int, int]] = []
    for telling in _TELLING:
        at = lower.find(telling)
        while at >= 0:
            spans.append((max(0, at - BEFORE), at + AFTER))
            at = lower.find(telling, at + AFTER // 2)
    return [lower[start : _comment_end(lower, start, end)] for start, end in _joined(sorted(spans))]


def _comment_end(lower: str, start: int, end: int) -> int:
    """Where the comment with the last telling word of a passage ends; `end` if it is none, or telling or refusing words follow.

    So a header is the same words in all files that have it.
    """
    last = max(lower.rfind(telling, max(start, end - AFTER), end) for telling in _TELLING)
    line = max(start, lower.rfind("\n", start, last) + 1)
    mark, found = _MARK.match(lower, line), None
    if mark is None:
        found = _BLOCK_END.match(lower, last, end)
    elif line > start and _MARK.match(lower, max(start, lower.rfind("\n", start, line - 1) + 1)):  # not a title of Markdown
        found = _LINES_END[mark[1]].search(lower, last, end)
    if found is None:
        return end
    behind = " ".join(words_of(lower[found.end() : end]))
    return end if any(word in behind for word in (*_TELLING, *_REFUSING)) else found.end()


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def words_of(passage: str) -> list[str]:
    """The words (letters and digits, lower case) without markup, escapes, comment markers; American spelling."""
    lower = passage.lower().replace("\\n", " ").replace("licence", "license").replace("&quot;", " ")
    if "<" in lower:
        lower = _TAG.sub(" ", lower)
    words = lower.encode("ascii", "replace").translate(_PLAIN).decode("ascii").split()
    if len(max(words, key=len, default="")) > LONGEST_WORD:
        words = [word for word in words if len(word) <= LONGEST_WORD]
    return list(filterfalse(_NOISE.__contains__, words))
