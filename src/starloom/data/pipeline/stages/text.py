"""Bytes become text: decoded as UTF-8 or a legacy encoding, with the digests by which others know the file."""

from __future__ import annotations

import codecs
import hashlib
from typing import Any

import pyarrow as pa

from starloom.data.pipeline.rows import each, table_of
from starloom.data.pipeline.step import VERDICT, Step
from starloom.data.quality.decoding import Decoded, decode
from starloom.data.quality.filters import NOT_UTF8

SCHEMA = pa.schema(
    [
        pa.field("text", pa.large_string()),
        pa.field("encoding", pa.string()),
        pa.field("sha256", pa.binary(32)),
        pa.field("sha1", pa.binary(20)),
        pa.field("git_sha1", pa.binary(20)),
        *VERDICT,
    ]
)
_READS = ("content", "said_encoding")


def text_step() -> Step:
    """The step."""
    return Step("text", SCHEMA, texts, reads=_READS)


def texts(table: pa.Table) -> pa.Table:
    """The text of every content; `not UTF-8` names what is binary or in no encoding that can be told."""
    return table_of((_row(*values) for values in each(table, *_READS)), SCHEMA)


def _row(content: bytes | None, said: str | None) -> dict[str, Any]:
    if content is None:
        return {}
    digests = {
        "sha256": hashlib.sha256(content).digest(),
        "sha1": hashlib.sha1(content, usedforsecurity=False).digest(),
        "git_sha1": hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).digest(),
    }
    decoded = _as_said(content, said) or decode(content)
    if decoded is None:
        return digests | {"dropped": NOT_UTF8}
    return digests | {"text": decoded.text, "encoding": decoded.encoding}


def _as_said(content: bytes, said: str | None) -> Decoded | None:
    """The text in the encoding that the source states, where that works."""
    if said is None or b"\0" in content:
        return None
    try:
        return Decoded(content.decode(said), codecs.lookup(said).name)
    except (UnicodeError, LookupError):
        return None
