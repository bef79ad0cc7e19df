"""Bytes that a prompt holds back, and how a generator gives them back.

A newline and the indentation behind it are one token, so a model has hardly ever seen a text that ends with a newline
and then goes on: fed such a prompt, the published 3B solves 3 of 164 HumanEval tasks instead of 49 (specification
§7.5). The same holds, less strongly, for any white space at the end, because words carry the space in front of them.
So a left-to-right prompt stops before that white space, and the generator is made to write it first, in whatever
tokens it likes, of which one may go on into the completion. The same heals a word that the cursor touches: it may be cut
where no token ends. Knows nothing of models.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from starloom.contract.tokenizer import Tokenizer


def split_trailing(text: bytes) -> tuple[bytes, bytes]:
    """`text` without its trailing white space (as ASCII knows it), and that white space, byte for byte."""
    cut = len(text.rstrip())
    return text[:cut], text[cut:]


_TOUCHED = re.compile(rb"((?<=\S) )?([A-Za-z]+|[0-9]|[!-/:-@\[-`{-~]+)\Z")


def split_touched(text: bytes) -> tuple[bytes, bytes]:
    """`text` without the word, digit or run of signs that it ends in and one space before that; and what was cut off."""
    found = _TOUCHED.search(text)
    cut = len(text) if found is None else found.start()
    return text[:cut], text[cut:]


class HeldBack:
    """What must still be generated before the completion begins. One for each completion; it moves on with each token.

    held = HeldBack(tokenizer, prompt.held_back)
    while ...:
        allowed = held.allowed()                    # None when any token may come
        token = ...                                 # choose among them
        completion += held.accept(token)
    """

    def __init__(self, tokenizer: Tokenizer, held_back: bytes) -> None:
        self._tokenizer, self._rest = tokenizer, held_back

    @property
    def rest(self) -> bytes:
        """The bytes that are still to come."""
        return self._rest

    def allowed(self) -> npt.NDArray[np.int64] | None:
        """The ids that may come next, ascending: those whose bytes agree with the rest. None when nothing is left."""
        return self._tokenizer.starts.agreeing(self._rest) if self._rest else None

    def accept(self, token: int) -> bytes:
        """Move on by `token`, which is one of `allowed`; return its bytes that lie beyond what was held back."""
        text = self._tokenizer.token_bytes[token]
        if not self._rest:
            return text
        assert self._fits(text), f"token {token} does not agree with the bytes held back, {self._rest!r}"
        self._rest, surplus = self._rest[len(text) :], text[len(self._rest) :]
        return surplus

    def _fits(self, text: bytes) -> bool:
        return bool(text) and (self._rest.startswith(text) or text.startswith(self._rest))
