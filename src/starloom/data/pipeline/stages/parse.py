"""Whether a text parses, as a column to look at: grammars misjudge, so nothing is dropped for it."""

from __future__ import annotations

import pyarrow as pa

from starloom.data.pipeline.rows import each, table_of
from starloom.data.pipeline.step import KEPT, Step
from starloom.data.quality.parse import ParseChecker

SCHEMA = pa.schema([pa.field("syntax_errors", pa.float64())])
_READS = ("kind", "language", "text", KEPT)


def parse_step(enabled: bool) -> Step:
    """The step. `syntax_errors` is the share of a text's bytes that the grammar has no place for; null without a grammar."""

    def function(table: pa.Table) -> pa.Table:
        rows = each(table, *_READS)
        if not enabled:
            return table_of(({} for _ in rows), SCHEMA)
        with ParseChecker() as checker:  # ends with the row group, so that its processor time is counted
            return table_of(({"syntax_errors": _share(checker, *values)} for values in rows), SCHEMA)

    return Step("parse", SCHEMA, function, reads=_READS, settings={"enabled": enabled})


def _share(checker: ParseChecker, kind: str, language: str | None, text: str | None, kept: bool) -> float | None:
    return checker.error_share(text, language) if kept and kind == "file" and text is not None and language else None
