"""A vocabulary: tokens by id, merges in order, and which ids are special. Checked once, and named by a fingerprint.

Every file format (`tokenizer.json`, GGUF) is read into this one shape, so that what is true of it is true of all of
them. It deliberately does not know how text is cut into words.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from starloom.contract.alphabet import bytes_of
from starloom.core.errors import FormatError


@dataclass(frozen=True)
class Vocabulary:
    """`tokens[id]` in the byte alphabet (special tokens: their text), merges as pairs of tokens, ids that are special.

    Raises `FormatError` when tokens repeat, a merge names or makes a token that is absent, or a special token could be
    reached from plain text.
    """

    tokens: tuple[str, ...]
    merges: tuple[tuple[str, str], ...]
    special: frozenset[int]

    def __post_init__(self) -> None:
        if not self.tokens:
            raise FormatError("the vocabulary holds no tokens")
        if len(self.ids) != len(self.tokens):
            repeated = next(token for place, token in enumerate(self.tokens) if self.ids[token] != place)
            raise FormatError(f"the vocabulary holds {repeated!r} twice")
        self._check_special()
        self._check_bytes()
        self._check_merges()

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of every token."""
        return {token: place for place, token in enumerate(self.tokens)}

    @cached_property
    def special_ids(self) -> dict[str, int]:
        """The id of every special token, in id order."""
        return {self.tokens[place]: place for place in sorted(self.special)}

    @cached_property
    def bytes_of_id(self) -> tuple[bytes, ...]:
        """The bytes of every token; special tokens stand for none. Raises `FormatError`."""
        return tuple(b"" if place in self.special else bytes_of(token) for place, token in enumerate(self.tokens))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over tokens in id order, merges and special ids: the same for every file format."""
        digest = hashlib.sha256(b"starloom-vocabulary-1")
        _feed(digest, self.tokens)
        _feed(digest, (f"{left} {right}" for left, right in self.merges))
        _feed(digest, (str(place) for place in sorted(self.special)))
        return digest.hexdigest()

    def _check_special(self) -> None:
        for place in self.special:
            if not 0 <= place < len(self.tokens):
                raise FormatError(f"special id {place} is outside the vocabulary of {len(self.tokens)} tokens")
            text = self.tokens[place]
            if len(text) < 2 or not text.isprintable():
                raise FormatError(f"special token {text!r} cannot be told from text: it must be two printable characters or more")

    def _check_bytes(self) -> None:
        if any(not item and place not in self.special for place, item in enumerate(self.bytes_of_id)):
            raise FormatError("the vocabulary holds an empty token")
        if not any(len(item) == 1 for item in self.bytes_of_id):
            raise FormatError("the vocabulary holds no byte symbols: it is not byte-level")

    def _check_merges(self) -> None:
        plain = self.ids.keys() - self.special_ids.keys()
        for left, right in self.merges:
            for token in (left, right, left + right):
                if token not in plain:
                    raise FormatError(f"merge '{left} {right}' needs {token!r}, which is no plain token of the vocabulary")


def _feed(digest: hashlib._Hash, items: Iterable[str]) -> None:
    """Add texts with their lengths and count, so that no two lists of texts give the same bytes."""
    encoded = [item.encode() for item in items]
    digest.update(struct.pack("<Q", len(encoded)))
    digest.update(b"".join(struct.pack("<I", len(item)) + item for item in encoded))
