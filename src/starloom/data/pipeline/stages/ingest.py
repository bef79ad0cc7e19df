"""The first stage: every record of every source of a shard becomes a row, whether it could be read or not.

Knows nothing of what the bytes mean.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from starloom.core.errors import InputError, PipelineError
from starloom.data.pipeline.addresses import label, source_at
from starloom.data.pipeline.settings import DataSettings
from starloom.data.pipeline.shuffle import SHARD_SHIFT
from starloom.data.pipeline.step import VERDICT, Ingest
from starloom.data.pipeline.storage import says_full
from starloom.data.sources.reading import records
from starloom.data.sources.record import ReadSettings, Record

SOURCE_UNREADABLE = "source not readable"
GROUP_ROWS = 8192

SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64()),
        pa.field("source", pa.string()),
        pa.field("repository", pa.string()),
        pa.field("revision", pa.string()),
        pa.field("path", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("size", pa.int64()),
        pa.field("content", pa.large_binary()),
        pa.field("date", pa.string()),
        pa.field("stars", pa.int64()),
        pa.field("said_language", pa.string()),
        pa.field("said_licence", pa.string()),
        pa.field("said_encoding", pa.string()),
        *VERDICT,
    ]
)


def ingest_step(settings: DataSettings) -> Ingest:
    """The step for these settings."""
    reading = ReadSettings(max_file_bytes=settings.max_file_bytes, seed=settings.seed)
    known = {"read": asdict(reading), "group_bytes": settings.group_bytes, "keep_going": settings.keep_going}

    def function(shard: int, sources: tuple[str, ...]) -> Iterator[pa.Table]:
        rows = _rows(sources, reading, settings.keep_going)
        return _tables(rows, shard, settings.group_bytes)

    return Ingest(SCHEMA, function, known, version=2)


def _rows(sources: tuple[str, ...], reading: ReadSettings, keep_going: bool) -> Iterator[dict[str, Any]]:
    for address in sources:
        name = label(address)
        try:
            for record in records(source_at(address), reading):
                yield _row(record, name)
        except OSError as error:
            if not says_full(error):
                raise
            raise PipelineError(
                f"there is no room left for temporary files in '{tempfile.gettempdir()}' while '{name}' is read "
                f"({error.strerror}): name a place with more room in TMPDIR, and run the same command again"
            ) from error
        except InputError as error:
            if not keep_going:
                raise
            message = str(error).replace(address, name)
            yield _row(Record(name, "", "file", None, 0, refused=SOURCE_UNREADABLE, detail=message), name)


def _row(record: Record, source: str) -> dict[str, Any]:
    return {
        "source": source,
        "repository": record.repository,
        "revision": record.revision,
        "path": record.path,
        "kind": record.kind,
        "size": record.size,
        "content": record.content,
        "date": record.date,
        "stars": record.stars,
        "said_language": record.language,
        "said_licence": record.licence,
        "said_encoding": record.encoding,
        "dropped": record.refused,
        "detail": record.detail or None,
    }


def _tables(rows: Iterator[dict[str, Any]], shard: int, group_bytes: int) -> Iterator[pa.Table]:
    """Rows in groups of about `group_bytes` of content, numbered through."""
    group: list[dict[str, Any]] = []
    size = 0
    for number, row in enumerate(rows):
        group.append({"id": shard << SHARD_SHIFT | number, **row})
        size += len(row["content"] or b"")
        if size >= group_bytes or len(group) >= GROUP_ROWS:
            yield pa.Table.from_pylist(group, schema=SCHEMA)
            group, size = [], 0
    if group:
        yield pa.Table.from_pylist(group, schema=SCHEMA)
