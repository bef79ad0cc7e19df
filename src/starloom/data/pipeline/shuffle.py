"""Rows on their way between shards and buckets: one file a sender, in it one row group for each receiver.

A 64-bit key decides the bucket by ranges of its value; an id names its shard in its upper half. A receiver reads its row
groups from the files of all senders, in their order, so that the result does not depend on who finished first.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from starloom.data.pipeline.columns import Written, naming_damage, open_file, write_file
from starloom.data.pipeline.storage import Storage

_PARTS = b"starloom.parts"
SHARD_SHIFT = 32


def shards_of(ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The shard that each id lies in."""
    return ids >> np.int64(SHARD_SHIFT)


def rows_of(ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The row of each id in its shard."""
    return ids & np.int64(2**SHARD_SHIFT - 1)


def buckets_of(keys: npt.NDArray[np.uint64], num_buckets: int) -> npt.NDArray[np.int64]:
    """The bucket of each key: ranges of equal width, computed from the upper 32 bits."""
    return (((keys >> np.uint64(32)) * np.uint64(num_buckets)) >> np.uint64(32)).astype(np.int64)


def write_rows(storage: Storage, name: str, table: pa.Table, parts: npt.NDArray[np.int64]) -> Written:
    """Write each row into the row group of its receiver `parts`; rows of one receiver keep their order."""
    order = np.argsort(parts, kind="stable")
    receivers, starts = np.unique(parts[order], return_index=True)
    schema = table.schema.with_metadata({_PARTS: json.dumps(receivers.tolist()).encode()})
    return write_file(storage, name, schema, _groups(table.replace_schema_metadata(schema.metadata), order, starts))


def _groups(table: pa.Table, order: npt.NDArray[np.int64], starts: npt.NDArray[np.int64]) -> Iterator[pa.Table]:
    for rows in np.split(order, starts[1:]):
        yield table.take(pa.array(rows))


def read_rows(storage: Storage, names: Iterable[str], part: int, schema: pa.Schema) -> pa.Table:
    """The rows for receiver `part` from all files of `names`. Raises `FormatError`."""
    tables = [schema.empty_table()]
    for name in names:
        with open_file(storage, name) as file, naming_damage(storage, name):
            receivers = json.loads(file.schema_arrow.metadata[_PARTS])
            if part in receivers:
                tables.append(file.read_row_group(receivers.index(part), use_threads=False).replace_schema_metadata(None))
    return pa.concat_tables(tables).combine_chunks()
