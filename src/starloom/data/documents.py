"""Documents as Parquet: the written schema, a writer with bounded memory, a reader that streams.

Knows nothing of where documents come from or why one is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from starloom.core.errors import FormatError

SCHEMA_VERSION = "1"
SCHEMA = pa.schema(
    [
        pa.field("repository", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("licence", pa.string(), nullable=True),
        pa.field("licence_source", pa.string(), nullable=False),
    ],
    metadata={"starloom.documents": SCHEMA_VERSION},
)
DROPPED_SCHEMA = pa.schema(
    [
        pa.field("repository", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ],
    metadata={"starloom.dropped": SCHEMA_VERSION},
)

GROUP_BYTES = 16 * 2**20
GROUP_ROWS = 8192


@dataclass(frozen=True, slots=True)
class Document:
    """One file that may be trained on. `size` counts bytes, `sha256` is of them; `licence` is an SPDX expression or None."""

    repository: str
    path: str
    text: str
    size: int
    sha256: str
    language: str
    licence: str | None
    licence_source: str


class TableWriter:
    """Writes rows to one Parquet file in row groups of about 16 MB. The same rows give the same bytes."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._schema = schema
        self._writer = pq.ParquetWriter(path, schema, compression="zstd", compression_level=3)
        self._rows: list[Mapping[str, Any]] = []
        self._bytes = 0

    def add(self, row: Mapping[str, Any], size: int = 64) -> None:
        """Append one row, which takes about `size` bytes."""
        self._rows.append(row)
        self._bytes += size
        if self._bytes >= GROUP_BYTES or len(self._rows) >= GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows, self._bytes = [], 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if error is None:
                self._flush()
        finally:
            self._writer.close()


class DocumentWriter:
    """Writes documents to `<folder>/<name>-00000.parquet` and on, a new file after `file_bytes` of text."""

    def __init__(self, folder: Path, name: str, *, file_bytes: int = 512 * 2**20) -> None:
        self._folder, self._name, self._file_bytes = folder, name, file_bytes
        self._table: TableWriter | None = None
        self._count = self._bytes = 0

    def add(self, document: Document) -> None:
        """Append one document."""
        if self._table is None or self._bytes >= self._file_bytes:
            self._begin()
        assert self._table is not None
        self._table.add(asdict(document), document.size)
        self._bytes += document.size

    def _begin(self) -> None:
        self._close(None)
        self._table = TableWriter(self._folder / f"{self._name}-{self._count:05d}.parquet", SCHEMA)
        self._count += 1
        self._bytes = 0

    def _close(self, error: BaseException | None) -> None:
        table, self._table = self._table, None
        if table is not None:
            table.__exit__(None if error is None else type(error), error, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close(error)


def read_documents(path: Path) -> Iterator[Document]:
    """The documents of one Parquet file, or of all `*.parquet` files in a folder by name. Raises `FormatError`.

    Columns behind those of `SCHEMA` are passed over (runs of the pipeline write more).
    """
    for file in sorted(path.glob("*.parquet")) if path.is_dir() else [path]:
        try:
            table = pq.ParquetFile(file)
        except (pa.ArrowException, OSError) as error:
            raise FormatError(f"'{file}' is not a readable Parquet file: {error}") from error
        with table:
            known = pa.schema(list(table.schema_arrow)[: len(SCHEMA)])
            if not known.equals(SCHEMA, check_metadata=False):
                raise FormatError(f"'{file}' does not hold documents: its columns are {', '.join(table.schema_arrow.names)}")
            for rows in read_rows(table, SCHEMA.names):
                yield from (Document(**row) for row in rows)


def read_rows(table: pq.ParquetFile, columns: list[str] | None = None) -> Iterator[list[dict[str, Any]]]:
    """The rows of a Parquet file with these columns (None: all), one row group at a time."""
    for group in range(table.num_row_groups):
        yield table.read_row_group(group, columns=columns).to_pylist()
