"""The Stack v2's own tables (Parquet): one row a file, or one row a repository with its files; texts come from Software Heritage.

The schemas are those of specification §5.7. Rows of the file table are brought together by repository on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starloom.core.errors import InputError, SettingsError
from starloom.data.sources.heritage.contents import Wanted, fetch
from starloom.data.sources.heritage.tables import column_sums, read_parquet
from starloom.data.sources.rawfile import UNUSABLE_PATH, is_unusable, readable
from starloom.data.sources.record import MISSING, REPEATED, TOO_LARGE, ReadSettings, Record
from starloom.data.sources.spill import Groups

NOT_A_ROW = "row without a repository, path or blob"

_FILE = ("blob_id", "path", "length_bytes", "language", "src_encoding", "detected_licenses")
_REPOSITORY = ("repo_name", "revision_id", "revision_date", "star_events_count", "gha_license_id")
_TYPES: dict[str, Any] = {
    "length_bytes": int,
    "star_events_count": int,
    "revision_date": (datetime, str),
    "detected_licenses": list,
    "files": list,
}
"""Of the columns that are not text."""


@dataclass(frozen=True)
class StackV2:
    """The files of the table or tables at `path` (both forms are told by their columns), with contents at `contents/<sha1>`.

    `part` of `parts`: a share of the repositories, so that a table may be read in pieces.
    """

    path: str
    contents: str
    part: int = 0
    parts: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.part < self.parts:
            raise SettingsError(f"part is {self.part} of {self.parts} parts; it must be at least 0 and less than their number")

    def records(self, settings: ReadSettings) -> Iterator[Record]:
        """One record a row, by repository. Raises `InputError`."""
        yield from fetch(self._wanted(settings), self.contents, settings)

    def _wanted(self, settings: ReadSettings) -> Iterator[Wanted]:
        with Groups(settings) as groups:
            for rows in read_parquet(self.path, self.part, self.parts):
                names = set(rows[0]) if rows else set()
                if not {"repo_name", "files"} <= names and not {"repo_name", "blob_id", "path"} <= names:
                    raise InputError(f"'{self.path}' holds no table of The Stack v2: its columns are {', '.join(sorted(names))}")
                for row in rows:
                    repository = self._plain(row, _REPOSITORY)
                    for file in self._plain(row, ("files",))["files"] or () if "files" in names else (row,):
                        groups.add(str(repository["repo_name"]), repository | self._plain(file, _FILE))
            for _, rows in groups:
                yield from _repository(rows, settings)

    def _plain(self, row: Any, columns: Sequence[str]) -> dict[str, Any]:
        """The values of `columns`, None where there is none; dates as ISO 8601 in UTC (the tables hold no time zone)."""
        values = {name: row.get(name) if isinstance(row, dict) else None for name in columns}
        for name, value in values.items():
            if isinstance(value, float) and value.is_integer():
                values[name] = int(value)  # as pandas writes whole numbers where some are missing
            elif isinstance(value, datetime):
                values[name] = value.strftime("%Y-%m-%dT%H:%M:%SZ")
            elif value is not None and not isinstance(value, _TYPES.get(name, str)):
                raise InputError(f"'{self.path}' holds no table of The Stack v2: its {name} is {value!r:.80}")
        return values

    def text_bytes(self) -> int:
        """The bytes of the contents of all parts, as the tables say (`length_bytes`). Raises `InputError`."""
        return sum(column_sums(self.path, "length_bytes"))


def _repository(rows: list[dict[str, Any]], settings: ReadSettings) -> Iterator[Wanted]:
    """The files of one repository by path; of rows that are the same but one counts."""
    seen = set()
    for row in sorted(rows, key=lambda row: (str(row["path"]), str(row["blob_id"]))):
        key = (row["path"], row["blob_id"])
        yield _file(row, settings, repeated=key in seen)
        seen.add(key)


def _file(row: dict[str, Any], settings: ReadSettings, *, repeated: bool) -> Wanted:
    path, sha1 = str(row["path"] or "").lstrip("/"), str(row["blob_id"] or "")
    size = row["length_bytes"] or 0
    licences = sorted({str(name) for name in row["detected_licenses"] or () if name})
    refused = MISSING
    if not row["repo_name"] or not path or not sha1:
        refused = NOT_A_ROW
    elif is_unusable(path) or ".." in path.split("/"):
        refused = UNUSABLE_PATH
    elif repeated or size > settings.max_file_bytes:
        refused = REPEATED if repeated else TOO_LARGE
    record = Record(
        str(row["repo_name"] or ""),
        readable(path),
        "file",
        None,
        size,
        revision=row["revision_id"],
        date=row["revision_date"],
        stars=row["star_events_count"],
        language=row["language"],
        licence=" AND ".join(licences) or row["gha_license_id"],
        encoding=row["src_encoding"],
        refused=refused,
    )
    return Wanted(record, sha1)
