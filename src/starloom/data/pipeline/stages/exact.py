"""Exact duplicates over all shards: digests go to buckets, one file of each digest stays, the others hear of it at home."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from starloom.data.duplicates.exact import digest_words, exact_survivors
from starloom.data.pipeline.stages.homing import home_schema, homing
from starloom.data.pipeline.stages.survival import COMPARED, FIELDS, LOST, READS, compared, lost, order_columns, order_of
from starloom.data.pipeline.step import Step
from starloom.data.quality.filters import EXACT_DUPLICATE

DIGESTS = pa.schema([pa.field("key", pa.uint64()), pa.field("rest", pa.uint64()), *FIELDS])


def exact_steps() -> tuple[Step, ...]:
    """The three steps of the exchange."""
    return (
        Step("exact_digests", DIGESTS, _digests, reads=("id", "sha256", *COMPARED, *READS), gives="to buckets", version=2),
        Step("exact_survivors", LOST, _survivors, takes=("exact_digests",), per="bucket", gives="to shards"),
        Step(
            "exact",
            home_schema("exact_survivor"),
            homing("exact_survivor", EXACT_DUPLICATE),
            reads=("id",),
            takes=("exact_survivors",),
        ),
    )


def _digests(table: pa.Table) -> pa.Table:
    table = compared(table)
    words = digest_words(table.column("sha256").to_pylist())
    return pa.table({"key": words[:, 0], "rest": words[:, 1], **order_columns(table)}, schema=DIGESTS)


def _survivors(rows: pa.Table) -> pa.Table:
    words = np.stack([rows.column("key").to_numpy(), rows.column("rest").to_numpy()], axis=1)
    return lost(rows.column("id").to_numpy(), exact_survivors(words, order_of(rows)))
