"""HTML as plain text with Markdown's marks for headings, lists and code. A single pass: no text can make it slow.

Written for what people read (documentation, answers), not as a browser reads: a tag ends at the next `>`.
"""

from __future__ import annotations

import html
import re

_LEFT_OUT = ("script", "style", "noscript", "template", "svg", "head", "nav", "iframe")
_BLOCK = re.compile(
    r"h[1-6]|[hbt]r|[du]l|ol|li|d[dt]|t[dh]|pre?|div|main|body|form|title|table|tbody|tfoot|thead|article|aside|address"
    r"|blockquote|details|fieldset|figcaption|figure|footer|header|section|summary"
)
_TIGHT = frozenset({"br", "dd", "dt", "li", "tr", "td", "th", "thead", "tbody"})
_START = re.compile(r"<(?=/?[A-Za-z]|[!?])")
_NAME = re.compile(r"/?[A-Za-z][A-Za-z0-9:-]*")
_LONG_NUMBER = re.compile(r"&#([0-9]{9,}|[xX][0-9A-Fa-f]{9,});?")
_ENDS = {name: re.compile(rf"</{name}\b", re.IGNORECASE) for name in _LEFT_OUT}
_MANY_LINES = re.compile(r"\n{3,}")


def html_text(source: str) -> str:
    """The text of an HTML document or fragment."""
    text = _Text()
    place = 0
    while tag := _START.search(source, place):
        text.say(source[place : tag.start()])
        place = _tag(source, tag.start(), text)
    text.say(source[place:])
    return text.done()


def _tag(source: str, start: int, text: _Text) -> int:
    """Take the tag or comment at `start`; returns the place behind it. What never ends is text."""
    if source.startswith("<!--", start):
        end = source.find("-->", start + 4)
        return _rest(source, start, text) if end < 0 else end + 3
    name = _NAME.match(source, start + 1)
    end = source.find(">", start)
    if end < 0:
        return _rest(source, start, text)
    tag = name[0].lower() if name else ""
    if tag in _ENDS and source[end - 1] != "/":
        closing = _ENDS[tag].search(source, end)
        end = -1 if closing is None else source.find(">", closing.end())
        return len(source) if end < 0 else end + 1
    text.tag(tag)
    return end + 1


def _rest(source: str, start: int, text: _Text) -> int:
    text.say(source[start:])
    return len(source)


class _Text:
    """Gathers text between tags, white space as HTML means it."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._verbatim = False

    def say(self, raw: str) -> None:
        if not raw:
            return
        words = html.unescape(_LONG_NUMBER.sub("\ufffd", raw)).replace("\r\n", "\n")
        if not self._verbatim:
            start = " " if words[:1].isspace() else ""
            end = " " if words[-1:].isspace() else ""
            words = f"{start}{' '.join(words.split())}{end}" if words.strip() else " "
        self._parts.append(words)

    def tag(self, tag: str) -> None:
        name = tag.lstrip("/")
        if name == "pre":
            self._verbatim = not tag.startswith("/")
            self._parts.append("\n\n```\n" if self._verbatim else "\n```\n\n")
        elif name == "code" and not self._verbatim:
            self._parts.append("`")
        elif _BLOCK.fullmatch(name) and not self._verbatim:
            self._parts.append("\n" if name in _TIGHT else "\n\n")
            if tag == "li":
                self._parts.append("- ")
            elif not tag.startswith("/") and name in ("h1", "h2", "h3", "h4", "h5", "h6"):
                self._parts.append("#" * int(name[1]) + " ")

    def done(self) -> str:
        lines: list[str] = []
        verbatim = False
        for line in "".join(self._parts).split("\n"):
            verbatim ^= line == "```"
            lines.append(line.rstrip() if verbatim else " ".join(line.split()))
        return _MANY_LINES.sub("\n\n", "\n".join(lines)).strip()
