"""Tables of Software Heritage's export (ORC) and of The Stack v2 (Parquet), read in pieces from a folder or object storage.

Only the columns asked for are read, one stripe or row group at a time, and rows are chosen before they become Python values.
ORC is read by a process of its own (see `orc_stripes`), which lives as long as the tables are open.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import IO, Any, Self
from zlib import crc32

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from starloom.core.errors import InputError
from starloom.data.sources.heritage.orc_stripes import LENGTH
from starloom.data.sources.places import Place, files_at, open_files

_READER = "starloom.data.sources.heritage.orc_stripes"


class Graph:
    """The ORC tables below an address, each a folder of files. A context: it ends the process that reads them."""

    def __init__(self, root: str) -> None:
        self._root = root.rstrip("/")
        self._process: subprocess.Popen[bytes] | None = None
        self._answering = False

    def read(self, table: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The stripes of a table, files by name. Raises `InputError` for a table that is absent, damaged or another."""
        for place in files_at(f"{self._root}/{table}", (".orc",)):
            try:
                yield from self._stripes(place, columns)
            finally:
                if self._answering:  # it crashed, or nobody wants the rest
                    self._end()

    def _stripes(self, place: Place, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        requests, answers = self._reader()
        self._answering = True
        with suppress(BrokenPipeError):
            requests.write(json.dumps([place.address, list(columns)]).encode() + b"\n")
            requests.flush()
        while True:
            letter, data = _frame(answers)
            self._answering = letter not in (b"D", b"E")
            if letter == b"D":
                return
            if letter != b"S":
                needed = f"with the columns {', '.join(columns)}"
                reason = data.decode("utf-8", "replace") or "its reader crashed"
                raise InputError(f"'{place.address}' is not a readable ORC file {needed}: {reason}")
            yield from pa.ipc.open_stream(data)

    def _reader(self) -> tuple[IO[bytes], IO[bytes]]:
        if self._process is None:
            command = [sys.executable, "-m", _READER]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
            self._process = subprocess.Popen(command, **pipes)  # type: ignore[call-overload]
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        return self._process.stdin, self._process.stdout

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            with suppress(OSError), self._process:
                pass
            self._process, self._answering = None, False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end()


def _frame(stream: IO[bytes]) -> tuple[bytes, bytes]:
    """One frame; no letter when the stream ends within it."""
    head = stream.read(1 + LENGTH)
    size = int.from_bytes(head[1:])
    data = stream.read(size) if len(head) == 1 + LENGTH else b""
    return (head[:1], data) if len(head) == 1 + LENGTH and len(data) == size else (b"", b"")


def read_parquet(url: str, part: int = 0, parts: int = 1) -> Iterator[list[dict[str, Any]]]:
    """The rows of a Parquet file or of all below a folder, by name, some thousands at a time. Raises `InputError`.

    Of `parts` that together give all, only number `part`: whole repositories, drawn by a hash of their `repo_name`.
    """
    for stream, name in open_files(url, (".parquet",)):
        with _naming_parquet(url, name):
            for batch in pq.ParquetFile(stream).iter_batches(batch_size=4096):
                batch.validate(full=True)
                rows = batch.filter(_drawn(batch, part, parts)).to_pylist()
                if rows:
                    yield rows


def column_sums(url: str, name: str) -> Iterator[int]:
    """The sum of a column of whole numbers, wherever it is nested, by row groups of all files. Raises `InputError`."""
    for stream, place in open_files(url, (".parquet",)):
        with _naming_parquet(url, place):
            file = pq.ParquetFile(stream)
            paths = [file.schema.column(number).path for number in range(len(file.schema))]
            wanted = [path for path in paths if path.rpartition(".")[2] == name]
            for group in range(file.num_row_groups if wanted else 0):
                column = file.read_row_group(group, columns=wanted).column(0)
                if pa.types.is_list(column.type):
                    column = pc.struct_field(pc.list_flatten(column), name)
                yield pc.sum(column.cast(pa.int64())).as_py() or 0


@contextmanager
def _naming_parquet(url: str, place: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        message = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"'{url}' ({place}) is not a readable Parquet file: {message}") from error


def _drawn(batch: pa.RecordBatch, part: int, parts: int) -> pa.Array:
    """Which rows are those of a part; all when they have no repository's name."""
    if parts == 1 or "repo_name" not in batch.schema.names:
        return pa.repeat(True, batch.num_rows)
    names = batch.column("repo_name").dictionary_encode()
    drawn = [crc32(str(name).encode("utf-8", "replace")) % parts == part for name in names.dictionary.to_pylist()]
    return pa.array(drawn, pa.bool_()).take(names.indices).fill_null(part == 0)


def rows_in(batch: pa.RecordBatch, column: str, wanted: pa.Array) -> list[dict[str, Any]]:
    """The rows of `batch` whose `column` is one of `wanted`."""
    rows: list[dict[str, Any]] = batch.filter(pc.is_in(batch.column(column), value_set=wanted)).to_pylist()
    return rows
