"""Text with special tokens in it, made so that nothing which a user wrote can become one.

A rendered document writes special tokens as their texts. Where a user's own text holds such a text, a space goes behind
its `<`: `<issue_start>` becomes `< issue_start>`. So `split` (and `Tokenizer.encode_with_special`) find exactly the marks
that the template put there, and the document is an ordinary string for every stage in between. Knows no template.
"""

from __future__ import annotations

import re
from typing import Self

from starloom.contract.tokens import END_OF_TEXT, SPECIAL_TOKENS

_TOKEN = re.compile("(" + "|".join(map(re.escape, sorted(SPECIAL_TOKENS, key=len, reverse=True))) + ")")
_KNOWN = frozenset(SPECIAL_TOKENS)


def neutralised(text: str) -> str:
    """`text` without the text of any special token, without NUL and without lone surrogates."""
    text = _TOKEN.sub(lambda match: "< " + match[0][1:], text)
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def split(document: str) -> list[str]:
    """The parts of a rendered document: text at even places (may be empty), special tokens at odd ones."""
    return _TOKEN.split(document)


class Rendering:
    """Builds one document from marks and texts, in order."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._run: list[str] = []

    def mark(self, token: str) -> Self:
        """Append a special token."""
        assert token in _KNOWN, f"the contract has no token {token}"
        self._close_run()
        self._parts.append(token)
        return self

    def text(self, *texts: str) -> Self:
        """Append text that is a user's, or the template's own words."""
        self._run += texts
        return self

    def to_bytes(self) -> bytes:
        """The whole document in UTF-8, ended by <|endoftext|>."""
        self.mark(END_OF_TEXT)
        return "".join(self._parts).encode()

    def _close_run(self) -> None:
        # A token's text can begin in one text and end in the next, so that they are made harmless together. It cannot reach
        # into a mark: `<` stands only at the front of a token and `>` only at its end.
        if self._run:
            self._parts.append(neutralised("".join(self._run)))
            self._run = []
