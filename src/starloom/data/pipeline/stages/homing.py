"""Verdicts of an exchange back on the rows of a shard. Knows nothing of what the exchange compared."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from starloom.data.pipeline.shuffle import rows_of
from starloom.data.pipeline.step import VERDICT


def home_schema(column: str) -> pa.Schema:
    """`column`: the id of the file that stays in the place of this one, null for all others."""
    return pa.schema([pa.field(column, pa.int64()), *VERDICT])


def homing(column: str, reason: str) -> Callable[[pa.Table, pa.Table], pa.Table]:
    """A function that puts `survivor` of rows that came home into `column`, and `reason` beside it."""

    def function(table: pa.Table, came: pa.Table) -> pa.Table:
        survivors = np.zeros(table.num_rows, dtype=np.int64)
        absent = np.ones(table.num_rows, dtype=np.bool_)
        rows = rows_of(came.column("id").to_numpy())
        survivors[rows] = came.column("survivor").to_numpy()
        absent[rows] = False
        reasons = pa.array([None if gone else reason for gone in absent], pa.string())
        values = [pa.array(survivors, mask=absent), reasons, pa.nulls(table.num_rows, pa.string())]
        return pa.table(values, schema=home_schema(column))

    return function
