"""Tables of Software Heritage's export (ORC) and of The Stack v2 (Parquet), read in pieces from a folder or object storage.

Only the columns asked for are read, one stripe or row group at a time, and rows are chosen before they become Python values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.orc as orc
import pyarrow.parquet as pq

from starloom.core.errors import InputError
from starloom.data.sources.github.events import open_files


def read_orc(root: str, table: str, columns: Sequence[str]) -> Iterator[pa.Table]:
    """The stripes of `root/table/*.orc`, files by name. Raises `InputError` for a table that is absent, damaged or another."""
    place = f"{root.rstrip('/')}/{table}"
    for stream, name in open_files(place, (".orc",)):
        with stream:
            try:
                file = orc.ORCFile(stream)
                for stripe in range(file.nstripes):
                    yield pa.Table.from_batches([file.read_stripe(stripe, columns=list(columns))]).select(list(columns))
            except (pa.ArrowException, OSError, KeyError, ValueError) as error:
                raise InputError(_damaged(f"{place}/{name}", "ORC", columns, error)) from error


def read_parquet(url: str) -> Iterator[pa.Table]:
    """The row groups of a Parquet file or of all below a folder, by name. Raises `InputError`."""
    for stream, name in open_files(url, (".parquet",)):
        with stream:
            try:
                file = pq.ParquetFile(stream)
                for group in range(file.num_row_groups):
                    for batch in file.iter_batches(batch_size=4096, row_groups=[group]):
                        yield pa.Table.from_batches([batch])
            except (pa.ArrowException, OSError) as error:
                raise InputError(_damaged(f"{url} {name}", "Parquet", (), error)) from error


def _damaged(place: str, form: str, columns: Sequence[str], error: Exception) -> str:
    needed = f" with the columns {', '.join(columns)}" if columns else ""
    return (
        f"'{place}' is not a readable {form} file{needed}: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
    )


def rows_in(table: pa.Table, column: str, wanted: pa.Array) -> list[dict[str, Any]]:
    """The rows of `table` whose `column` is one of `wanted`."""
    rows: list[dict[str, Any]] = table.filter(pc.is_in(table[column], value_set=wanted)).to_pylist()
    return rows
