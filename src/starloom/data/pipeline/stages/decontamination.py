"""Texts that hold a task of a benchmark, so that a model's scores mean something."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from starloom.data.decontamination import Index
from starloom.data.pipeline.lists import fingerprint
from starloom.data.pipeline.rows import each, table_of
from starloom.data.pipeline.step import KEPT, VERDICT, Step

CONTAMINATED = "benchmark"
EXEMPT_KINDS = frozenset({"documentation"})
"""Not looked at for StarCoder 2 (paper, table 3)."""

SCHEMA = pa.schema(VERDICT)
_READS = ("kind", "text", KEPT)


def decontamination_step(benchmarks: tuple[str, ...]) -> Step:
    """The step for these files and folders of benchmarks. Raises `InputError` for one that is missing."""

    def function(table: pa.Table) -> pa.Table:
        return table_of((_row(benchmarks, *values) for values in each(table, *_READS)), SCHEMA)

    return Step("decontamination", SCHEMA, function, reads=_READS, settings={"benchmarks": fingerprint(benchmarks)})


def _row(benchmarks: tuple[str, ...], kind: str, text: str | None, kept: bool) -> dict[str, Any]:
    if not benchmarks or not kept or text is None or kind in EXEMPT_KINDS:
        return {}
    hit = _index(benchmarks).find(text)
    return {} if hit is None else {"dropped": CONTAMINATED, "detail": f"{hit.file}: {hit.task} ({hit.test} {hit.share:.2f})"}


@cache
def _index(benchmarks: tuple[str, ...]) -> Index:
    return Index.of(Path(path) for path in benchmarks)
