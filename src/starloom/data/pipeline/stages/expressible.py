"""Texts with bytes that the tokenizer has no token for (the published vocabulary lacks 14 byte values)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from starloom.contract.contract import Contract
from starloom.contract.tokenizer import Tokenizer
from starloom.data.pipeline.lists import fingerprint
from starloom.data.pipeline.rows import each, table_of
from starloom.data.pipeline.step import KEPT, VERDICT, Step
from starloom.data.quality.filters import NOT_EXPRESSIBLE

SCHEMA = pa.schema(VERDICT)
_READS = ("repository", "path", "text", "redacted_text", KEPT)


def expressible_step(tokenizer: str) -> Step:
    """The step for the tokenizer at this place. Raises `InputError` when there is none."""

    def function(table: pa.Table) -> pa.Table:
        missing = contract_at(tokenizer).tokenizer.missing_bytes
        return table_of((_row(missing, *values) for values in each(table, *_READS)), SCHEMA)

    return Step("expressible", SCHEMA, function, reads=_READS, settings={"tokenizer": fingerprint((tokenizer,))})


def _row(
    missing: frozenset[int], repository: str, path: str, text: str | None, redacted: str | None, kept: bool
) -> dict[str, Any]:
    final = redacted if redacted is not None else text
    if not missing or not kept or final is None:
        return {}
    lacking = sorted(missing.intersection((repository + path + final).encode()))
    return {"dropped": NOT_EXPRESSIBLE, "detail": " ".join(f"0x{byte:02X}" for byte in lacking)} if lacking else {}


def contract_at(tokenizer: str) -> Contract:
    """The contract around the tokenizer at this place, opened once a process."""
    return _contract(tokenizer, tuple(fingerprint((tokenizer,))))


@cache
def _contract(tokenizer: str, _content: tuple[str, ...]) -> Contract:
    return Contract(Tokenizer.open(Path(tokenizer)))
