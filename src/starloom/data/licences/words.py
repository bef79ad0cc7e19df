"""Where a file may speak of licences, and those passages as plain words: the first and cheapest step of finding a licence.

Most files are settled here: a file without any of a dozen words says nothing of licences. Linear in the length of the text.
Knows no licence.
"""

from __future__ import annotations

import re

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
_TAG = re.compile(r"<[^<>\n]{0,120}>")
_WORD = re.compile(r"[a-z0-9]+")
_NOISE = frozenset({"dnl", "rem", "nbsp", "quot", "amp", "emsp"})  # comment markers and entities between the words of a sentence


def passages(text: str) -> list[str]:
    """The parts of `text` in lower case that may speak of licences, in order; overlapping ones are joined."""
    lower = text.lower()
    spans: list[tuple[int, int]] = []
    for telling in _TELLING:
        at = lower.find(telling)
        while at >= 0:
            spans.append((max(0, at - BEFORE), at + AFTER))
            at = lower.find(telling, at + AFTER // 2)
    return [lower[start:end] for start, end in _joined(sorted(spans))]


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
    return [word for word in _WORD.findall(lower) if word not in _NOISE and len(word) <= LONGEST_WORD]
