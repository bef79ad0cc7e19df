"""The first 96 bytes of a token shard. Knows the layout of those bytes and nothing else.

    0   8  magic "STARLMTK"
    8   4  version, 1
   12   4  bytes an id takes: 2 when the vocabulary has at most 65536 tokens, else 4
   16   8  number of ids
   24   4  size of the vocabulary
   28   4  zero
   32  32  fingerprint of the tokenizer (SHA-256)
   64  32  SHA-256 of the bytes 0-63

All numbers are unsigned and little-endian, as are the ids that follow.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from starloom.core.errors import FormatError

HEADER_BYTES: Final = 96
_MAGIC: Final = b"STARLMTK"
_VERSION: Final = 1
_LAYOUT: Final = struct.Struct("<8sIIQII32s")


@dataclass(frozen=True)
class ShardHeader:
    """Whose ids follow, and how many."""

    vocab_size: int
    tokens: int
    fingerprint: str

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger]:
        """How an id is stored."""
        return np.dtype("<u2" if self.vocab_size <= 2**16 else "<u4")

    def to_bytes(self) -> bytes:
        """The header as it stands in the file."""
        fingerprint = bytes.fromhex(self.fingerprint)
        fields = _LAYOUT.pack(_MAGIC, _VERSION, self.dtype.itemsize, self.tokens, self.vocab_size, 0, fingerprint)
        return fields + hashlib.sha256(fields).digest()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a header. Raises `FormatError` when it is short, of another kind or version, or damaged."""
        if data[:8] != _MAGIC:
            raise FormatError("this is no token shard: it does not begin with 'STARLMTK'")
        if len(data) != HEADER_BYTES:
            raise FormatError(f"the file ends inside its header of {HEADER_BYTES} bytes")
        _, version, width, tokens, vocab_size, _, fingerprint = _LAYOUT.unpack(data[: _LAYOUT.size])
        if version != _VERSION:
            raise FormatError(f"this shard is of version {version}; this Starloom knows version {_VERSION}")
        header = cls(vocab_size, tokens, fingerprint.hex())
        if hashlib.sha256(data[: _LAYOUT.size]).digest() != data[_LAYOUT.size :] or width != header.dtype.itemsize:
            raise FormatError("the header is damaged: its checksum does not fit")
        return header
