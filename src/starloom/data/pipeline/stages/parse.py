"""Whether a text parses, as a column to look at: grammars misjudge, so nothing is dropped for it."""

from __future__ import annotations

from functools import cache

import pyarrow as pa

from starloom.data.pipeline.rows import each, table_of
from starloom.data.pipeline.step import KEPT, Step
from starloom.data.quality.parse import ParseChecker

SCHEMA = pa.schema([pa.field("syntax_errors", pa.float64())])
_READS = ("kind", "language", "text", KEPT)


def parse_step(enabled: bool) -> Step:
    """The step. `syntax_errors` is the share of a text's bytes that the grammar has no place for; null without a grammar."""

    def function(table: pa.Table) -> pa.Table:
        return table_of(({"syntax_errors": _share(*values) if enabled else None} for values in each(table, *_READS)), SCHEMA)

    return Step("parse", SCHEMA, function, reads=_READS, settings={"enabled": enabled})


def _share(kind: str, language: str | None, text: str | None, kept: bool) -> float | None:
    return _checker().error_share(text, language) if kept and kind == "file" and text is not None and language else None


@cache
def _checker() -> ParseChecker:
    """One for the process; its own process ends with this one."""
    return ParseChecker()
