"""The GPT-2 byte alphabet: one printable character for each of the 256 byte values.

Byte-level BPE works on characters, so every byte wears a printable one: bytes that are printable in Latin-1 keep
themselves, the other 68 take U+0100, U+0101, ... in byte order. Knows nothing of vocabularies.
"""

from __future__ import annotations

from typing import Final

from starloom.core.errors import FormatError


def _symbols() -> tuple[str, ...]:
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    spare = iter(range(0x100, 0x200))
    return tuple(chr(byte) if byte in printable else chr(next(spare)) for byte in range(256))


SYMBOL_OF_BYTE: Final = _symbols()
BYTE_OF_SYMBOL: Final = {symbol: byte for byte, symbol in enumerate(SYMBOL_OF_BYTE)}


def bytes_of(token: str) -> bytes:
    """The bytes that a token's characters stand for. Raises `FormatError` for a character outside the alphabet."""
    try:
        return bytes(BYTE_OF_SYMBOL[symbol] for symbol in token)
    except KeyError as error:
        raise FormatError(f"token {token!r} holds {error.args[0]!r}, which is no byte of a byte-level vocabulary") from None
