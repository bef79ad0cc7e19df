"""Files of one repository as records: a folder, an archive or package, or a git repository at a revision.

What a package manager wrote around the files (metadata, licence files) are files as well, so that the licence stage sees
them. Knows no template but that of notebooks, which may be rendered where they stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from starloom.core.errors import InputError
from starloom.data.sources.git import date_of
from starloom.data.sources.notebooks import ENDING, render_notebook
from starloom.data.sources.packages import package_name
from starloom.data.sources.rawfile import Limits, RawFile
from starloom.data.sources.record import DAMAGED, TOO_LARGE, ReadSettings, Record
from starloom.data.sources.source import Source, open_source


@dataclass(frozen=True)
class Files:
    """Every file of the repository at `path`.

    `repository` overrides its name; `revision` (git alone) is anything that names a commit, HEAD when None. `notebooks`:
    leave `.ipynb` files as they are, or make each the structured or the script form of §4.5 (with a reason where it cannot).
    """

    path: Path
    repository: str | None = None
    revision: str | None = None
    notebooks: Literal["file", "structured", "script"] = "file"

    def records(self, settings: ReadSettings) -> Iterator[Record]:
        """One record a file, in the order of the source. Raises `InputError` when the source as a whole is damaged."""
        source = open_source(self.path, self.revision or "HEAD")
        if self.revision is not None and source.kind != "git":
            raise InputError(f"'{self.path}' has no revision {self.revision!r}: it is not a git repository")
        name, version = package_name(source, settings.limits)
        date = date_of(self.path, source.version) if source.kind == "git" and source.version else None
        records = file_records(_files(source, settings.limits), settings, self.repository or name, version, date)
        for record in records:
            if self.notebooks != "file" and record.content is not None and record.path.endswith(ENDING):
                yield render_notebook(record, self.notebooks)
            else:
                yield record


def _files(source: Source, limits: Limits) -> Iterator[RawFile]:
    return source.files(limits, strip_top=source.has_top_folder)


def file_records(
    files: Iterable[RawFile], settings: ReadSettings, repository: str, revision: str | None, date: str | None
) -> Iterator[Record]:
    """Read each file, or say why not. One content is in memory at a time."""
    for file in files:
        empty = Record(repository, file.path, "file", None, file.size, revision, date, refused=file.refused or TOO_LARGE)
        if file.refused or file.size > settings.max_file_bytes:
            yield empty
            continue
        try:
            content = file.read()
        except (InputError, OSError) as error:
            yield replace(empty, refused=DAMAGED, detail=str(error))
        else:
            yield replace(empty, content=content, size=len(content), refused=None)
