"""Taking opted-out files out of documents that are already written.

All files are looked at before one is changed, so a damaged one stops the purge while nothing has happened. A file with something
to remove is written anew and replaced in one step; others are not touched. To run it again is always safe. Token shards made from
the documents are not changed: they are to be built again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from starloom.core.errors import FormatError, InputError
from starloom.core.files import new_file
from starloom.data.opt_out import OptOut, hash_of

_COLUMNS = {"sha256": ("sha256",), "sha1": ("sha1", "blob_id"), "git": ("git_sha1", "content_id")}
"""Where documents keep each kind of hash: our names, then The Stack v2's."""


@dataclass
class Purge:
    """What a purge did, or would do."""

    files: int = 0
    changed: list[str] = field(default_factory=list)
    read: int = 0
    removed: int = 0
    entries: Counter[str] = field(default_factory=Counter)
    """Removed documents by the entry of the list that they fall under."""
    removed_files: list[tuple[str, str, str]] = field(default_factory=list)
    """(repository, path, entry) of each"""

    def to_json(self) -> str:
        """One line; entries in the order of their names."""
        counts = {"files": self.files, "changed": self.changed, "read": self.read, "removed": self.removed}
        removed = [{"repository": repository, "path": path, "entry": entry} for repository, path, entry in self.removed_files]
        return json.dumps(
            {**counts, "kept": self.read - self.removed, "entries": dict(sorted(self.entries.items())), "gone": removed}
        )


def purge(folder: Path, opt_out: OptOut, *, dry_run: bool = False) -> Purge:
    """Remove what `opt_out` names from every Parquet file with a `repository` column in `folder` and below.

    Raises `InputError` when there is none, `FormatError` for a file that is damaged or lacks what the list compares.
    """
    report = Purge()
    doomed: dict[Path, list[list[bool]]] = {}
    for path in _parquet_files(folder):
        with _opened(path) as file:
            if "repository" not in file.schema_arrow.names:
                continue
            report.files += 1
            masks = [_mask(path, file, group, opt_out, report) for group in range(file.num_row_groups)]
        if not all(map(all, masks)):
            doomed[path] = masks
            report.changed.append(path.relative_to(folder).as_posix())
    if not report.files:
        raise InputError(f"'{folder}' holds no Parquet file with a column 'repository'")
    for path, masks in {} if dry_run else doomed.items():
        _rewrite(path, masks)
    return report


def _parquet_files(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise InputError(f"'{folder}' is no folder")
    return (path for path in sorted(folder.rglob("*.parquet")) if path.is_file() and not path.name.startswith("."))


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise FormatError(f"'{path}' is not a readable Parquet file, so nothing was changed: {error}") from error


def _mask(path: Path, file: pq.ParquetFile, group: int, opt_out: OptOut, report: Purge) -> list[bool]:
    """Which rows of a row group stay; what goes is noted in `report`."""
    names = file.schema_arrow.names
    sources = {kind: _source(path, names, kind) for kind in sorted(opt_out.hash_kinds())}
    wanted = dict.fromkeys(["repository", *(["path"] if "path" in names else []), *sources.values()])
    try:
        rows = file.read_row_group(group, columns=list(wanted)).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise FormatError(f"'{path}' is damaged in row group {group}, so nothing was changed: {error}") from error
    stays = []
    for row in rows:
        hashes = {kind: _hash(row[column], column, kind) for kind, column in sources.items() if row[column] is not None}
        entry = opt_out.match(row["repository"] or "", hashes)
        stays.append(entry is None)
        if entry is not None:
            report.entries[entry] += 1
            report.removed_files.append((row["repository"] or "", row.get("path") or "", entry))
    report.read += len(rows)
    report.removed += stays.count(False)
    return stays


def _source(path: Path, names: list[str], kind: str) -> str:
    """The column that has this kind of hash, or the text to make it from."""
    for column in (*_COLUMNS[kind], "text"):
        if column in names:
            return column
    raise FormatError(f"'{path}' has no column for the list's {kind} hashes: {', '.join(_COLUMNS[kind])} or text is needed")


def _hash(value: str, column: str, kind: str) -> str:
    return hash_of(value.encode(), kind) if column == "text" else value


def _rewrite(path: Path, masks: list[list[bool]]) -> None:
    with new_file(path) as partial:
        with pq.ParquetFile(path) as file:
            codecs = {file.metadata.row_group(0).column(0).compression.lower()} if file.num_row_groups else {"zstd"}
            with pq.ParquetWriter(partial, file.schema_arrow, compression=codecs.pop()) as writer:
                for group, stays in enumerate(masks):
                    table = file.read_row_group(group).filter(pa.array(stays, pa.bool_()))
                    if table.num_rows:
                        writer.write_table(table, row_group_size=table.num_rows)
        kept = pq.read_metadata(partial).num_rows
        assert kept == sum(map(sum, masks)), f"{path}: {kept} rows written"
