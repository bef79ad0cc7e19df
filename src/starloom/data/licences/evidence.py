"""Which licence a document stands under: everything that applies to it, joined with AND, and where each part was found.

What applies: package metadata and licence files in the document's folder and all folders above it, an
`SPDX-License-Identifier` line, and a copyleft notice in the file's own head. So a document is permissive only when
all of these are; no evidence means unknown, and unknown is never permissive.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from starloom.data.languages import language_of
from starloom.data.licences.expressions import conjunction
from starloom.data.licences.manifests import MANIFESTS, SHORT_FIELD, normalised, read_manifest
from starloom.data.licences.texts import UNKNOWN, copyleft_in, licences_in

HEAD_CHARACTERS = 4096

_ENDING = r"(\.(txt|md|rst|html?))?"
_IDS = r"[al]?gpl|mpl|epl|edl|eupl|cddl|apache|bsd|mit|artistic|cc0|psf|isc|zpl"
_FULL_NAME = rf"([\w.]+[-_.])?((un)?licen[cs]e[sd]?|copying|copyleft)([-_. ]?[A-Z0-9][\w-]*|[-_.][\w.-]*)?{_ENDING}"
_LICENCE_FILE = re.compile(rf"{_FULL_NAME}|({_IDS})([-_. ]?v?\d[\d.-]*)?{_ENDING}", re.IGNORECASE)
_PROSE = frozenset({None, "Text", "Markdown", "reStructuredText", "HTML"})
_BUNDLE = re.compile(r"\.(js|css|mjs|map|json)\.", re.IGNORECASE)
_SPDX_LINE = re.compile(r"SPDX-License-Identifier:[ \t]*([^\r\n]*)")
_SPDX_WORDS = re.compile(r"[()]|[A-Za-z0-9.+:-]+")
_INFO = re.compile(r"(?P<above>(.*/)?)[^/]+\.(dist|egg)-info/(licenses/)?(?P<inside>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Finding:
    """`expression` applies to everything below `folder` (`""` for the root, else ending in `/`), as `where` says."""

    folder: str
    expression: str
    where: str


@dataclass(slots=True)
class Evidence:
    """Collects what a repository says about its licences, then tells what applies to a path."""

    findings: list[Finding] = field(default_factory=list)
    name: str | None = None
    version: str | None = None
    _pending: list[tuple[str, str, str]] = field(default_factory=list)
    _folders: set[str] = field(default_factory=lambda: {""})
    _cache: dict[str, tuple[list[str], list[str]]] = field(default_factory=dict)

    def see(self, path: str) -> None:
        """Remember that the repository has a file at `path` (licences of a wheel are stored away from what they cover)."""
        folder = path.rpartition("/")[0]
        while folder and folder + "/" not in self._folders:
            self._folders.add(folder + "/")
            folder = folder.rpartition("/")[0]

    def add(self, path: str, data: bytes) -> None:
        """Read a file for which `is_evidence` holds."""
        file_name = path.rpartition("/")[2]
        if file_name in MANIFESTS:
            manifest = read_manifest(file_name, data)
            if path.count("/") <= 1 and file_name in ("METADATA", "PKG-INFO") and self.name is None:
                self.name, self.version = manifest.name, manifest.version
            if manifest.licences:
                self._pending.append((path, conjunction(list(manifest.licences)), f"{path}: {manifest.field}"))
        else:
            text = data.decode("utf-8", "replace")
            found = licences_in(text)
            if found == [UNKNOWN] and len(text) <= SHORT_FIELD:
                found = [normalised(text)]  # a file that only names its licence
            self._pending.append((path, conjunction(found), path))

    def add_unread(self, path: str) -> None:
        """Note a licence file that could not be read: what it asks for is unknown."""
        self._pending.append((path, UNKNOWN, path))

    def close(self) -> None:
        """Settle which folder each finding covers, once all paths were seen."""
        findings = (Finding(self._covers(path), expression, where) for path, expression, where in self._pending)
        self.findings = sorted(findings, key=lambda finding: (finding.folder, finding.where))

    def of(self, path: str, own: str | None = None) -> tuple[str | None, str]:
        """The licence of the document at `path` with its `own` licence if it states one, and the evidence for it."""
        folder = path.rpartition("/")[0]
        if folder not in self._cache:
            applying = [finding for finding in self.findings if (folder + "/").startswith(finding.folder)]
            self._cache[folder] = [f.expression for f in applying], [f.where for f in applying]
        expressions, places = self._cache[folder]
        if own:
            expressions, places = [*expressions, own], [*places, "the file's own head"]
        return conjunction(_without_vague(expressions)) or None, "; ".join(places)

    def _covers(self, path: str) -> str:
        """The folder that a licence file or manifest speaks for."""
        info = _INFO.fullmatch(path)
        if info is None:
            folder = path.rpartition("/")[0]
            parent, _, last = folder.rpartition("/")
            folder = parent if last.casefold() in ("licenses", "licences") else folder
            return folder + "/" if folder else ""
        above, inside = info["above"], info["inside"].rpartition("/")[0]
        for prefix in ("", "src/", "lib/"):
            folder = f"{above}{inside.removeprefix(prefix)}/"
            if inside.startswith(prefix) and inside and folder in self._folders:
                return folder
        return above


def is_evidence(path: str) -> bool:
    """Whether the name of a file says that it is a package manifest or the text of a licence."""
    name = path.rpartition("/")[2]
    if name in MANIFESTS:
        return True
    return bool(_LICENCE_FILE.fullmatch(name)) and not _BUNDLE.search(name) and language_of(path) in _PROSE


def own_licence(text: str) -> str | None:
    """The licence that a file states in its own head: an SPDX line, or a notice of a copyleft licence."""
    head = text[:HEAD_CHARACTERS]
    found = [_spdx_line(line) for line in _SPDX_LINE.findall(head)] + copyleft_in(head)
    return conjunction(found) or None if found else None


def _spdx_line(line: str) -> str:
    """The expression of an SPDX line, without what closes the comment around it."""
    words = _SPDX_WORDS.findall(re.split(r"\*/|-->|\"|'|`|<|\\", line)[0])
    return " ".join(words).replace("( ", "(").replace(" )", ")") or UNKNOWN


def _without_vague(expressions: list[str]) -> list[str]:
    """Leave out 'BSD, some number of clauses' where another finding tells the number."""
    if any("BSD-" in expression.replace("LicenseRef-BSD", "") for expression in expressions):
        return [expression for expression in expressions if expression != "LicenseRef-BSD"]
    return expressions
