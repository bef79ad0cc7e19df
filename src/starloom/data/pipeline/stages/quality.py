"""The quality rules on every text that is still kept; for rendered texts the rules that speak of code do not apply."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from starloom.data.pipeline.lists import rules_of
from starloom.data.pipeline.rows import each, table_of
from starloom.data.pipeline.step import KEPT, VERDICT, Step
from starloom.data.quality import rules
from starloom.data.quality.signals import Signals, measure
from starloom.data.quality.verdict import verdict

_COUNTS = tuple(pa.field(name, pa.int64()) for name in Signals._fields)
SCHEMA = pa.schema([*_COUNTS, *VERDICT])
_READS = ("path", "kind", "language", "is_generated", "text", KEPT)


def quality_step() -> Step:
    """The step."""
    return Step("quality", SCHEMA, judged, reads=_READS, settings={"rules": rules_of("starloom.data.quality")})


def judged(table: pa.Table) -> pa.Table:
    """The signals of each text, and the first rule that it breaks."""
    return table_of((_row(*values) for values in each(table, *_READS)), SCHEMA)


def _row(path: str, kind: str, language: str | None, generated: bool | None, text: str | None, kept: bool) -> dict[str, Any]:
    if text is None or not kept:
        return {}
    signals = measure(text)
    if kind == "file":
        drop = verdict(text, path, language or "", flagged_generated=generated, signals=signals)
    else:
        drop = rules.empty(text) or rules.nearly_empty(text)
    reason = {} if drop is None else {"dropped": drop.reason, "detail": drop.detail or None}
    return signals._asdict() | reason
