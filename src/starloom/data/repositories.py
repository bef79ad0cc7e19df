"""One source read and filtered: the texts that may stay go to a spool file, everything else is a line with its reason.

The first pass of a build. What depends on other repositories (duplicates) or on the tokenizer comes later and only
changes the `reason` of an entry. About 300 bytes of memory a file; one text at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from starloom.data.documents import TableWriter, read_rows
from starloom.data.languages import language_of
from starloom.data.licences.evidence import Evidence, file_evidence, speaks_for_others, unread_evidence
from starloom.data.licences.manifests import read_manifest
from starloom.data.licences.policies import open_policy
from starloom.data.licences.verdicts import Propagation, judge
from starloom.data.quality import filters
from starloom.data.quality.decoding import utf8
from starloom.data.sources.rawfile import RawFile
from starloom.data.sources.source import Source

_SPOOL = pa.schema([pa.field("text", pa.string(), nullable=False)])


@dataclass(slots=True)
class Entry:
    """One file of a repository. `reason` is None while it is kept; `row` is its place in the spool, None when not there."""

    path: str
    size: int
    reason: str | None = None
    detail: str = ""
    row: int | None = None
    sha256: bytes = b""
    language: str = ""
    licence: str | None = None
    licence_source: str = ""

    def drop(self, reason: str, detail: str = "") -> None:
        """Mark as dropped."""
        self.reason, self.detail = reason, detail


@dataclass(slots=True)
class Repository:
    """One source after the first pass. `held_out` repositories are for validation."""

    name: str
    version: str | None
    source: Source
    spool: Path
    entries: list[Entry]
    licence: str | None
    licence_source: str
    held_out: bool = False

    def kept(self) -> Iterator[Entry]:
        """The entries that are still kept, in the source's order."""
        return (entry for entry in self.entries if entry.reason is None)

    def texts(self, entries: Iterable[Entry] | None = None) -> Iterator[tuple[Entry, str]]:
        """The kept entries (or the given ones of them) with their texts, in the source's order, row group by row group."""
        by_row = {entry.row: entry for entry in (self.kept() if entries is None else entries)}
        if not by_row:
            return
        with pq.ParquetFile(self.spool) as table:
            row = 0
            for rows in read_rows(table):
                for values in rows:
                    if row in by_row:
                        yield by_row[row], values["text"]
                    row += 1


@dataclass(frozen=True, slots=True)
class Rules:
    """What the first pass keeps."""

    languages: frozenset[str] | None = None
    exclude: tuple[str, ...] = ()
    max_file_bytes: int = 1_000_000
    any_licence: bool = False


@dataclass(slots=True)
class _Reader:
    """The state of reading one source."""

    rules: Rules
    table: TableWriter
    entries: list[Entry] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)
    name: str | None = None
    version: str | None = None
    rows: int = 0

    def take(self, file: RawFile) -> None:
        entry = Entry(file.path, file.size, language=language_of(file.path) or "")
        self.entries.append(entry)
        if file.refused:
            entry.drop(file.refused)
            return
        data = self._evidence(file)
        entry.reason = self._reason_before_reading(entry)
        if entry.reason is None:
            self._read(entry, file.read() if data is None else data)

    def _evidence(self, file: RawFile) -> bytes | None:
        """The content of a file that speaks of the licences around it, noted; None for other files."""
        if not speaks_for_others(file.path):
            return None
        if file.size > self.rules.max_file_bytes:
            self.evidence += unread_evidence(file.path)
            return None
        data = file.read()
        text = data.decode("utf-8", "replace")
        self.evidence += file_evidence(file.path, text)
        self._name(file.path, text)
        return data

    def _name(self, path: str, text: str) -> None:
        """Take the name and version of a Python package from its core metadata."""
        file_name = path.rpartition("/")[2]
        if file_name in ("METADATA", "PKG-INFO") and path.count("/") <= 1 and self.name is None:
            manifest = read_manifest(file_name, text)
            self.name, self.version = manifest.name, manifest.version

    def _reason_before_reading(self, entry: Entry) -> str | None:
        return (
            filters.excluded(entry.path, self.rules.exclude)
            or filters.other_language(entry.language or None, self.rules.languages)
            or filters.too_large(entry.size, self.rules.max_file_bytes)
        )

    def _read(self, entry: Entry, data: bytes) -> None:
        text = utf8(data)
        entry.size = len(data)
        entry.reason = filters.NOT_UTF8 if text is None else filters.check_text(text, entry.language)
        if text is None or entry.reason:
            return
        entry.sha256 = hashlib.sha256(data).digest()
        if not speaks_for_others(entry.path):
            self.evidence += file_evidence(entry.path, text)
        entry.row, self.rows = self.rows, self.rows + 1
        self.table.add({"text": text}, len(data))


def read_repository(source: Source, rules: Rules, spool: Path) -> Repository:
    """Read and filter one source; `spool` takes the texts that pass. Raises `InputError` for a source that cannot be read."""
    with TableWriter(spool, _SPOOL) as table:
        reader = _Reader(rules, table)
        for file in source.files():
            reader.take(file)
    _judge_licences(reader.entries, reader.evidence, rules)
    top = _top_folder(reader.entries) if source.has_top_folder else ""
    licence, licence_source = Propagation((entry.path for entry in reader.entries), reader.evidence).of(top)
    for entry in reader.entries:
        entry.path = entry.path.removeprefix(top)
    name, version = reader.name or source.name, reader.version or source.version
    return Repository(name, version, source, spool, reader.entries, licence or None, licence_source)


def _judge_licences(entries: list[Entry], evidence: list[Evidence], rules: Rules) -> None:
    verdicts = judge([entry.path for entry in entries], evidence, open_policy())
    for entry, verdict in zip(entries, verdicts, strict=True):
        if entry.reason is None:
            entry.licence, entry.licence_source = verdict.licence, verdict.evidence
            if verdict.dropped and not rules.any_licence:
                entry.drop(verdict.dropped, verdict.licence or "")


def _top_folder(entries: list[Entry]) -> str:
    """The one folder that holds all entries, with its `/`; empty when there is none."""
    tops = {entry.path.partition("/")[0] if "/" in entry.path else "" for entry in entries}
    return tops.pop() + "/" if len(tops) == 1 and "" not in tops else ""
