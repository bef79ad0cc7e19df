"""What became of every row, as columns, as documents, and counted.

The reason of a file is that of the first step that has one. Documents are the rows without a reason, with the redacted text.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starloom.data.documents import SCHEMA as PLAIN
from starloom.data.pipeline.step import KEPT, Step

VERDICT = pa.schema(
    [pa.field("reason", pa.string()), pa.field("reason_step", pa.string()), pa.field("reason_detail", pa.string())]
)

_EXTRA = (
    pa.field("id", pa.int64(), nullable=False),
    pa.field("revision", pa.string()),
    pa.field("kind", pa.string(), nullable=False),
    pa.field("encoding", pa.string()),
    pa.field("sha1", pa.string(), nullable=False),
    pa.field("git_sha1", pa.string(), nullable=False),
    pa.field("licence_type", pa.string()),
    pa.field("language_confident", pa.bool_()),
    pa.field("is_vendor", pa.bool_()),
    pa.field("date", pa.string()),
    pa.field("stars", pa.int64()),
    pa.field("num_redacted", pa.int64()),
    pa.field("placeholders", pa.list_(pa.int64())),
)
DOCUMENTS = pa.schema([*PLAIN, *_EXTRA], metadata=PLAIN.metadata)
"""The columns of `data.documents` and more, which its reader passes over."""

TALLY = pa.schema(
    [
        pa.field("kind", pa.string()),
        pa.field("language", pa.string()),
        pa.field("licence", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("magnitude", pa.int64()),
        pa.field("redacted", pa.bool_()),
        pa.field("held_out", pa.bool_()),
        pa.field("files", pa.int64()),
        pa.field("bytes", pa.int64()),
    ]
)
"""Files and bytes by all of these; `magnitude` is the number of binary digits of the size, `reason` is null for kept files."""


def verdict_step(droppers: tuple[str, ...]) -> Step:
    """The first reason of each row; `droppers` are the `STEP.dropped` columns in order."""
    steps = [name.rpartition(".")[0] for name in droppers]

    def function(table: pa.Table) -> pa.Table:
        reasons = [table.column(f"{step}.dropped") for step in steps]
        names = [pc.if_else(pc.is_valid(reason), step, None) for step, reason in zip(steps, reasons, strict=True)]
        details = [
            pc.if_else(pc.is_valid(reason), pc.fill_null(table.column(f"{step}.detail"), ""), None)
            for step, reason in zip(steps, reasons, strict=True)
        ]
        values: list[Any] = [pc.coalesce(*columns) for columns in (reasons, names, details)]
        return pa.table([pc.cast(value, pa.string()) for value in values], schema=VERDICT)

    return Step("verdict", VERDICT, function, reads=tuple(f"{step}.{name}" for step in steps for name in ("dropped", "detail")))


def documents_steps(validation: bool) -> tuple[Step, ...]:
    """The kept rows as documents, one file a shard; with `validation` those held out in files of their own."""

    def held_out(table: pa.Table) -> pa.Table:
        return documents(table.filter(table.column("held_out")))

    def training(table: pa.Table) -> pa.Table:
        return documents(table.filter(pc.invert(table.column("held_out"))))

    reads = ("held_out", "redacted_text", *DOCUMENTS.names, KEPT)
    step = Step("documents", DOCUMENTS, training, reads=reads, gives="table")
    return (step, replace(step, name="validation_documents", function=held_out)) if validation else (step,)


def documents(table: pa.Table) -> pa.Table:
    """The documents of a table."""
    table = table.filter(table.column(KEPT))
    made = {
        "text": pc.coalesce(table.column("redacted_text"), table.column("text")),
        "sha256": _hex(table.column("sha256")),
        "sha1": _hex(table.column("sha1")),
        "git_sha1": _hex(table.column("git_sha1")),
        "language": pc.fill_null(table.column("language"), ""),
        "licence_source": pc.fill_null(table.column("licence_source"), ""),
    }
    values = [made[field.name] if field.name in made else table.column(field.name) for field in DOCUMENTS]
    return pa.table([pc.cast(value, field.type) for value, field in zip(values, DOCUMENTS, strict=True)], schema=DOCUMENTS)


def _hex(column: Any) -> pa.Array:
    return pa.array([value.hex() for value in column.to_pylist()], pa.string())


def statistics_step() -> Step:
    """The tally of a shard."""
    reads = ("kind", "language", "licence", "reason", "size", "num_redacted", "held_out")
    return Step("statistics", TALLY, tally, reads=reads, gives="table", whole=True)


def tally(table: pa.Table) -> pa.Table:
    """Files and bytes by kind, language, licence, reason, magnitude, whether something was redacted and whether held out."""
    magnitudes = [int(size).bit_length() for size in table.column("size").to_pylist()]
    table = table.append_column("magnitude", pa.array(magnitudes, pa.int64()))
    table = table.append_column("redacted", pc.greater(pc.fill_null(table.column("num_redacted"), 0), 0))
    table = table.append_column("files", pa.array(np.ones(table.num_rows, dtype=np.int64)))
    return added_up(table.rename_columns({"size": "bytes"}))


def added_up(table: pa.Table) -> pa.Table:
    """Tallies, or rows that count themselves, as one tally: a row for each combination of its keys."""
    keys = TALLY.names[:-2]
    groups = table.group_by(keys, use_threads=False).aggregate([("files", "sum"), ("bytes", "sum")])
    groups = groups.sort_by([(key, "ascending") for key in keys])
    return pa.table([groups.column(name) for name in (*keys, "files_sum", "bytes_sum")], schema=TALLY)
