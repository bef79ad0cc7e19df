"""Debian's machine-readable `debian/copyright`: which licence which files have, by patterns (DEP-5, copyright-format 1.0).

Short names are made SPDX. A file in another format says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from starloom.data.licences.expressions import UNKNOWN
from starloom.data.licences.names import normalised

MOST_PATTERNS = 20_000  # Chromium has about 2,000

_FORMAT = re.compile(r"^format(?:-specification)?:.*(?:copyright-format|dep-?5|copyright)", re.IGNORECASE | re.MULTILINE)
_FIELD = re.compile(r"^([A-Za-z][A-Za-z0-9-]*):[ \t]*(.*)$")
_GNU = re.compile(
    r"([al]?gpl|gfdl)(?:-niv)?-?v?(\d)(?:\.(\d))?(?:\.0)?(\+|-or-later|-only)?(?:-(?:no-invariants?|niv))?", re.IGNORECASE
)
_SYMBOL = re.compile(r"\\?.", re.DOTALL)
_EXCEPTION = re.compile(r"\s+with\s+.*?\s+exceptions?$|\s+with\s+.*$", re.IGNORECASE)
_NAMES = {
    "expat": "MIT",
    "bsd-3-clause": "BSD-3-Clause",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-4-clause": "BSD-4-Clause",
    "bsd": "LicenseRef-BSD",
    "artistic": "Artistic-1.0-Perl",
    "artistic-1": "Artistic-1.0",
    "perl": "Artistic-1.0-Perl OR GPL-1.0-or-later",
    "public-domain": "LicenseRef-scancode-public-domain",
    "public domain": "LicenseRef-scancode-public-domain",
    "pd": "LicenseRef-scancode-public-domain",
    "boost": "BSL-1.0",
    "psf": "PSF-2.0",
    "python": "PSF-2.0",
    "cc0": "CC0-1.0",
    "apache": "Apache-2.0",
    "gpl": "GPL-1.0-or-later",
    "lgpl": "LGPL-2.0-or-later",
    "zope": "ZPL-2.1",
    "permissive": "LicenseRef-scancode-other-permissive",
}


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Files whose path matches one of `patterns` have the licence `expression`; the last paragraph that matches counts."""

    patterns: tuple[str, ...]
    expression: str

    @property
    def rule(self) -> str:
        """How evidence names the paragraph."""
        return f"Files: {' '.join(self.patterns)[:80]}"


def matcher(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """One regular expression for all `patterns`: `*` is any run of characters (`/` too), `?` one."""
    return re.compile("|".join(f"(?:{_translated(pattern)})" for pattern in patterns), re.DOTALL)


def read_dep5(text: str) -> list[Paragraph]:
    """The `Files` paragraphs of a `debian/copyright`, in order; empty when it is not in the machine-readable format.

    More than `MOST_PATTERNS` patterns are not believed: then all files have an unknown licence.
    """
    if not _FORMAT.search(text[:2000]):
        return []
    found = []
    for fields in _paragraphs(text):
        if "files" in fields and "license" in fields:
            found.append(Paragraph(tuple(fields["files"].split()), expression_of(fields["license"].split("\n")[0])))
    if sum(len(paragraph.patterns) for paragraph in found) > MOST_PATTERNS:
        return [Paragraph(("*",), UNKNOWN)]
    return found


def _paragraphs(text: str) -> Iterator[dict[str, str]]:
    fields: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if not line.strip():
            if fields:
                yield fields
            fields, name = {}, ""
        elif line[0] in " \t":
            if name:
                fields[name] += "\n" + line.strip()
        elif match := _FIELD.match(line):
            name = match[1].lower()
            fields[name] = match[2].strip()
    if fields:
        yield fields


def expression_of(synopsis: str) -> str:
    """The first line of a `License` field as SPDX: `GPL-2+ or Expat` -> `GPL-2.0-or-later OR MIT`."""
    alternatives = []
    for side in re.split(r",?\s+or\s+", synopsis.strip(), flags=re.IGNORECASE):
        parts = [_short_name(part) for part in re.split(r",?\s+and(?:/or)?\s+|,\s*", side, flags=re.IGNORECASE) if part.strip()]
        alternatives.append(" AND ".join(dict.fromkeys(parts)) or UNKNOWN)
    if len(alternatives) == 1:
        return alternatives[0]
    return " OR ".join(f"({side})" if " AND " in side else side for side in dict.fromkeys(alternatives))


def _short_name(name: str) -> str:
    name = _EXCEPTION.sub("", name.strip())
    if gnu := _GNU.fullmatch(name):
        return f"{gnu[1].upper()}-{gnu[2]}.{gnu[3] or 0}-{'or-later' if gnu[4] in ('+', '-or-later') else 'only'}"
    known = _NAMES.get(name.casefold())
    if known is None and name.casefold().startswith(("bsd-3", "bsd-2")):
        known = f"BSD-{name[4]}-Clause"
    if known is None and name.casefold().startswith("bsd"):
        known = "LicenseRef-BSD"
    if known is None and name.casefold().startswith(("expat", "mit-", "mit/")):
        known = "MIT"
    known = known or normalised(name)
    return f"({known})" if " OR " in known else known


def _translated(pattern: str) -> str:
    """`*` takes the shortest run that lets the next piece match and never gives it back: time in proportion to the path."""
    pieces = ["".join(map(_literal, piece)) for piece in _pieces(pattern.removeprefix("./"))]
    if len(pieces) == 1:
        return pieces[0]
    middle = "".join(f"(?>.*?{piece})" for piece in pieces[1:-1] if piece)
    return f"{pieces[0]}{middle}.*{pieces[-1]}"


def _pieces(pattern: str) -> list[list[str]]:
    """The pattern's symbols (a character, `?`, or one after a backslash) between its stars."""
    pieces: list[list[str]] = [[]]
    for symbol in _SYMBOL.findall(pattern):
        if symbol == "*":
            pieces.append([])
        else:
            pieces[-1].append(symbol)
    return pieces


def _literal(symbol: str) -> str:
    return "." if symbol == "?" else re.escape(symbol[-1])
