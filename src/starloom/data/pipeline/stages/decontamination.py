"""Texts that hold a task of a benchmark, so that a model's scores mean something."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from starloom.data.decontamination import Index
from starloom.data.pipeline.kinds import NOT_DECONTAMINATED
from starloom.data.pipeline.lists import fingerprint, rules_of
from starloom.data.pipeline.rows import each, table_of
from starloom.data.pipeline.step import KEPT, VERDICT, Step

CONTAMINATED = "benchmark"

SCHEMA = pa.schema(VERDICT)
_READS = ("kind", "text", KEPT)


def decontamination_step(benchmarks: tuple[str, ...]) -> Step:
    """The step for these files and folders of benchmarks. Raises `InputError` for one that is missing."""

    index = cache(lambda: Index.of(Path(path) for path in benchmarks))  # by the first task of a process that needs it

    def function(table: pa.Table) -> pa.Table:
        return table_of((_row(index, *values) if benchmarks else {} for values in each(table, *_READS)), SCHEMA)

    known = {"benchmarks": fingerprint(benchmarks)} | ({"rules": rules_of("starloom.data.decontamination")} if benchmarks else {})
    return Step("decontamination", SCHEMA, function, reads=_READS, settings=known)


def _row(index: Callable[[], Index], kind: str, text: str | None, kept: bool) -> dict[str, Any]:
    if not kept or text is None or kind in NOT_DECONTAMINATED:
        return {}
    hit = index().find(text)
    return {} if hit is None else {"dropped": CONTAMINATED, "detail": f"{hit.file}: {hit.task} ({hit.test} {hit.share:.2f})"}
