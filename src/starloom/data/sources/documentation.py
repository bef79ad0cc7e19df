"""Documentation of a repository, package or folder of pages: Markdown, reStructuredText and plain text as they are, HTML as text.

Licence files and manifests pass through as files, so that the licence stage sees what the pages stand under.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from starloom.data.licences.evidence import is_licence_file, speaks_for_others
from starloom.data.sources.files import Files
from starloom.data.sources.html_text import html_text
from starloom.data.sources.record import ReadSettings, Record

NOT_DOCUMENTATION = "not documentation"
NO_TEXT = "page without text"

_LANGUAGES = {
    ".md": "Markdown",
    ".markdown": "Markdown",
    ".mkd": "Markdown",
    ".rst": "reStructuredText",
    ".rest": "reStructuredText",
    ".txt": "Text",
    ".text": "Text",
    ".html": "HTML",
    ".htm": "HTML",
    ".xhtml": "HTML",
}
_PLAIN = re.compile(r"(readme|news|changes|changelog|install|hacking|contributing|faq|todo)(\.\d+)?", re.IGNORECASE)
_NO_PAGES = re.compile(r"(cmakelists|[\w-]*requirements[\w-]*|robots|sources|top_level|entry_points)\.txt", re.IGNORECASE)
_CHARSET = re.compile(rb"charset\s{0,9}=\s{0,9}[\"']?([\w-]{1,40})", re.IGNORECASE)


@dataclass(frozen=True)
class Documentation:
    """The pages of the folder, archive, package or git repository at `path`."""

    path: Path
    repository: str | None = None
    revision: str | None = None

    def records(self, settings: ReadSettings) -> Iterator[Record]:
        """One record a file: a page, a licence's evidence, or the reason why it is neither. Raises `InputError`."""
        for record in Files(self.path, self.repository, self.revision).records(settings):
            yield _page(record)


def _page(record: Record) -> Record:
    if record.content is None or is_licence_file(record.path):
        return record
    language = _language(record.path)
    if language is None:
        is_evidence = speaks_for_others(record.path)
        return record if is_evidence else replace(record, content=None, refused=NOT_DOCUMENTATION)
    if language != "HTML":
        return replace(record, kind="documentation", language=language)
    text = html_text(_decoded(record.content)).encode("utf-8", "replace")
    if not text or b"\0" in text:
        return replace(record, content=None, refused=NO_TEXT)
    return replace(record, kind="documentation", content=text + b"\n", language="Markdown")


def _language(path: str) -> str | None:
    name = path.rpartition("/")[2]
    if _PLAIN.fullmatch(name):
        return "Text"
    return None if _NO_PAGES.fullmatch(name) else _LANGUAGES.get(Path(name).suffix.lower())


def _decoded(data: bytes) -> str:
    """A page by its own word for its encoding, as browsers do: UTF-8, what `charset` says, Windows-1252."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        declared = _CHARSET.search(data[:2048])
        try:
            return data.decode(declared[1].decode() if declared else "cp1252", "replace")
        except (LookupError, ValueError):
            return data.decode("cp1252", "replace")
