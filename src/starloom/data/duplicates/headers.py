"""Where a file's own text begins: behind the comments at its head, which hold licences.

A licence of 200 words makes all small files of one project look alike, so that the head is left out before files are
compared. Every comment at the head goes, whatever it says. Knows the comment marks of most languages, not the language
of the file; what it cannot tell (text in quotation marks, a comment that never ends) counts as the file's own.
"""

from __future__ import annotations

import re

_DIRECTIVES = r"(?:include|import|define|undef|if|ifdef|ifndef|else|elif|endif|pragma|error|warning|line|\[)"
_LINES = re.compile(
    rf"(?:[ \t\r\f\v]*+(?:(?:\#(?!\||[ \t]*{_DIRECTIVES})|//|--(?!\[\[)|;|%|!|dnl\b|(?i:rem\b)|['.]\\\")[^\n]*+)?+\n)++"
)
_BLOCK = re.compile(r"\s*+(?:(/\*)|(<!--)|(\(\*)|(\{-)|(--\[\[)|(#\|)|(<\?xml)|(<\?php\b)|((?i:<!doctype)))")
_ENDS = ("*/", "-->", "*)", "-}", "]]", "|#", "?>", "", ">")
"""What closes each group of `_BLOCK`; `<?php` stands alone."""


def body_start(text: str) -> int:
    """The place of the first character behind the comments at the head of `text`; time is linear in the head's length."""
    place = 1 if text.startswith("\ufeff") else 0
    while True:
        block = _BLOCK.match(text, place)
        if block is None:
            lines = _LINES.match(text, place)
            if lines is None:
                return place
            place = lines.end()
            continue
        assert block.lastindex is not None, "one of the alternatives matched"
        end = _ENDS[block.lastindex - 1]
        found = text.find(end, block.end())
        if found < 0:
            return place
        place = found + len(end)
