"""Rows of Arrow tables as plain values, for stages that look at one file at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa


def each(table: pa.Table, *names: str) -> Iterator[tuple[Any, ...]]:
    """The values of these columns, row for row."""
    return zip(*(table.column(name).to_pylist() for name in names), strict=True)


def table_of(rows: Iterable[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """A table from rows; what a row does not name is null."""
    return pa.Table.from_pylist(list(rows), schema=schema)
