"""From bytes to text: byte-order mark, then strict UTF-8, then a guess at the legacy encoding; binary files have no text.

The guess is chardetng's, the detector of Firefox: linear, and right where older ones were not (it takes what The Stack v2's
cchardet took, the whole file). The contract is that of The Stack v2's `src_encoding`: `data.decode(encoding) == text`.
"""

from __future__ import annotations

import codecs
import re
from typing import NamedTuple

from starloom.core.errors import require


class Decoded(NamedTuple):
    """A text and the Python codec that gives it back from the file's bytes; a byte-order mark is not part of the text."""

    text: str
    encoding: str


_MARKS = (  # UTF-32's little-endian mark begins with UTF-16's, so it comes first
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_CODECS = {  # chardetng's names (the Encoding Standard's) whose Python codec is another, usually a superset
    "Big5": "big5hkscs",
    "EUC-KR": "cp949",
    "GBK": "gb18030",
    "ISO-8859-8-I": "iso8859_8",
    "Shift_JIS": "cp932",
    "windows-874": "cp874",
}

# Control characters that file(1) does not expect in text: bytes that are not UTF-8 and hold one are data, not a legacy text.
_CONTROLS = re.compile(rb"[\x00-\x06\x0e-\x1a\x1c-\x1f\x7f]")
_DOS_END = b"\x1a"  # ended text files under CP/M and DOS


def decode(data: bytes) -> Decoded | None:
    """The text of a file and its encoding, or None when it is binary: NUL in it, or bytes that no encoding explains."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            text = _strictly(data, encoding)
            return None if text is None or "\0" in text else Decoded(text, encoding)
    text = utf8(data)
    if text is not None:
        return Decoded(text, "utf-8")
    return None if _CONTROLS.search(data.rstrip(_DOS_END)) else _legacy(data)


def utf8(data: bytes) -> str | None:
    """The text of a file that is UTF-8 without NUL, unchanged (byte-order mark too), else None."""
    return None if b"\0" in data else _strictly(data, "utf-8")


def _legacy(data: bytes) -> Decoded | None:
    detector = require("chardetng_py", "data").EncodingDetector()
    detector.feed(data, last=True)
    name: str = detector.guess(tld=None, allow_utf8=False)
    encoding = _CODECS.get(name, name.lower())
    text = _strictly(data, encoding)
    return None if text is None else Decoded(text, encoding)


def _strictly(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None
