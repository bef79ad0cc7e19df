"""Parquet files of a run: written row group by row group, read by columns from several aligned files.

All files of one shard have the same rows in the same row groups, so that a stage can take a shard piece by piece. The
same tables give the same bytes. Knows nothing of stages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from starloom.core.errors import FormatError
from starloom.data.pipeline.storage import Storage

_OPTIONS: Final[dict[str, Any]] = {"compression": "zstd", "compression_level": 3, "write_page_checksum": True}


@dataclass(frozen=True, slots=True)
class Written:
    """What was written to one file."""

    rows: int
    bytes: int


def write_file(storage: Storage, name: str, schema: pa.Schema, groups: Iterable[pa.Table]) -> Written:
    """Write one table a row group; the file appears when all are written."""
    rows = 0
    with storage.new(name) as partial:
        with pq.ParquetWriter(partial, schema, **_OPTIONS) as writer:
            for table in groups:
                assert table.schema.equals(schema), f"{name}: {table.schema} instead of {schema}"
                if table.num_rows:
                    writer.write_table(table, row_group_size=table.num_rows)
                rows += table.num_rows
        size = partial.stat().st_size
    return Written(rows, size)


@contextmanager
def open_file(storage: Storage, name: str) -> Iterator[pq.ParquetFile]:
    """A Parquet file. Raises `FormatError`, which names it, when it is missing or damaged, at once or while it is read."""
    with (
        naming_damage(storage, name),
        storage.open(name) as stream,
        pq.ParquetFile(stream, page_checksum_verification=True) as file,
    ):
        yield file


@contextmanager
def naming_damage(storage: Storage, name: str) -> Iterator[None]:
    """Damage that the Parquet library meets becomes a `FormatError` that names the file."""
    try:
        yield
    except (pa.ArrowException, OSError, EOFError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise FormatError(
            f"'{storage.place(name)}' is damaged: {_first_line(error)}; remove this file and run the same command again, it "
            "will be computed anew"
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


class Aligned:
    """Columns of one shard that lie in several files: `files` gives the file of each column."""

    def __init__(self, storage: Storage, files: Mapping[str, str]) -> None:
        self._storage, self._files = storage, files
        self._names = list(dict.fromkeys(files.values()))

    def groups(self) -> Iterator[pa.Table]:
        """One table a row group, with the columns in the order given. Raises `FormatError`."""
        with ExitStack() as stack:
            opened = {name: stack.enter_context(open_file(self._storage, name)) for name in self._names}
            self._check(opened)
            for group in range(opened[self._names[0]].num_row_groups):
                yield self._joined({name: self._group(file, name, group) for name, file in opened.items()})

    def table(self) -> pa.Table:
        """All rows at once."""
        with ExitStack() as stack:
            opened = {name: stack.enter_context(open_file(self._storage, name)) for name in self._names}
            self._check(opened)
            return self._joined({name: self._all(file, name) for name, file in opened.items()})

    def group_sizes(self) -> list[int]:
        """The rows of each row group."""
        with open_file(self._storage, self._names[0]) as file:
            return [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]

    def _wanted(self, name: str) -> list[str]:
        return [_own(column) for column, place in self._files.items() if place == name]

    def _group(self, file: pq.ParquetFile, name: str, group: int) -> pa.Table:
        with naming_damage(self._storage, name):
            return file.read_row_group(group, columns=self._wanted(name), use_threads=False)

    def _all(self, file: pq.ParquetFile, name: str) -> pa.Table:
        with naming_damage(self._storage, name):
            return file.read(columns=self._wanted(name), use_threads=False)

    def _joined(self, tables: Mapping[str, pa.Table]) -> pa.Table:
        columns = [tables[name].column(_own(column)) for column, name in self._files.items()]
        return pa.table(columns, names=list(self._files)).combine_chunks()

    def _check(self, opened: Mapping[str, pq.ParquetFile]) -> None:
        first = self._names[0]
        for name, file in opened.items():
            if file.metadata.num_rows != opened[first].metadata.num_rows:
                raise FormatError(
                    f"'{self._storage.place(name)}' has {file.metadata.num_rows} rows and '{self._storage.place(first)}' has "
                    f"{opened[first].metadata.num_rows}: remove the former and run again"
                )


def _own(column: str) -> str:
    """The name of a column in its own file (`quality.dropped` is `dropped` there)."""
    return column.rpartition(".")[2]


def cut(table: pa.Table, sizes: Sequence[int]) -> Iterator[pa.Table]:
    """A table in pieces of the given numbers of rows."""
    start = 0
    for size in sizes:
        yield table.slice(start, size)
        start += size
    assert start == table.num_rows, "the pieces make the whole"
