"""What one file says about licences, its own or those of the files around it: the map side, one file at a time.

A source file speaks for itself (SPDX tags, licence fields, notices, whole texts, anywhere in it). A licence file, a manifest or a
`debian/copyright` speaks for the files around it; which ones is settled in `verdicts.py`, where all paths are known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from starloom.data.licences.dep5 import read_dep5
from starloom.data.licences.expressions import UNKNOWN, conjunction
from starloom.data.licences.manifests import is_manifest, read_manifest
from starloom.data.licences.names import SHORT_FIELD, canonical, normalised
from starloom.data.licences.notices import documentation_in
from starloom.data.licences.parts import Part, parts_of, without
from starloom.data.licences.recognition import recognise
from starloom.data.licences.words import passages, words_of

Scope = Literal["file", "folder", "patterns"]

_PROSE = r"(\.(txt|md|mkd|markdown|mdown|rst|html?|adoc|asciidoc|org|rdoc|rtf|textile|pod|en))?"
_IDS = r"[al]?gpl|gfdl|mpl|epl|edl|cpl|eupl|cddl|apache|bsd|mit|artistic|cc0|psf|isc|zpl|asl|al"
DOCUMENTATION = ("doc/*", "docs/*", "documentation/*", "*/doc/*", "*/docs/*", "*/documentation/*")
LONGEST_NAME = 255  # characters; file systems allow no more
_FULL_NAME = (
    r"([\w.-]+[-_.])?((un)?licen[cs]e[sd]?|copying|copyleft|copyrights?)([-_ ][\w -]++)?"
    rf"(?>\.(?>(?-i:[A-Z0-9])[\w-]*+|({_IDS})[\w-]*+|lesser|lib|terms|third[-_]?party))*+"
)
_LICENCE_FILE = re.compile(rf"({_FULL_NAME}|({_IDS})([-_. ]?v?\d[\d.-]*)?([-_. ]licen[cs]e)?){_PROSE}", re.IGNORECASE)
_MENTION_FILE = re.compile(rf"(legal|about|notices?|readme|guidelines|disclaimer|patents)([-_. ][\w-]+)?{_PROSE}", re.IGNORECASE)
_BUNDLE = re.compile(r"\.(js|css|mjs|map|json)\.", re.IGNORECASE)
_NOT_PROSE = re.compile(r"\.(?!txt|md|mkd|rst|html?|adoc|org|rdoc|rtf|pod|en)[a-z]{1,8}\d?$", re.IGNORECASE)
_CRAN_TEMPLATE = re.compile(r"\s*(?:(?:YEAR|COPYRIGHT HOLDER|ORGANIZATION):[^\n]*\s*)+", re.IGNORECASE)  # the names for a text
_INTRODUCTION = re.compile(r"\s*(?:[^\n]*\b(?:bundle|include|contain)s?\b[^\n]*:)?\s*")  # of parts
_SPDX_LINE = re.compile(r"spdx-license-identifier:[ \t]*([^\r\n]{0,500})", re.IGNORECASE)
_SPDX_WORDS = re.compile(r"[()]|[A-Za-z0-9.+:-]+")
_SPDX_ENDS = re.compile(r"\*/|-->|\"|'|`|<|\\")
_FIELD = re.compile(r"\blicen[cs]es?(?:__)?[\"']?[ \t]*(?:[:=]|=>|>|::)[ \t]*[\"'(\[{]{0,2}[ \t]*([^\"'<>\r\n)\]},;]{2,60})")


@dataclass(frozen=True, slots=True)
class Evidence:
    """The file at `path` states `expression`.

    `scope` tells for whom: the `file` itself, its `folder`, or the files that match `patterns` (of DEP-5 or `parts.py`). `rule`
    tells how it was found (`spdx tag`, `text`, `notice`, `choice`, `field`, `vague`, a manifest's field, `Files: ...`,
    `documentation`), `score` how well: the part of a licence text that is there, 1 for everything else.
    """

    path: str
    expression: str
    rule: str
    score: float = 1.0
    scope: Scope = "file"
    patterns: tuple[str, ...] = ()


def is_licence_file(path: str) -> bool:
    """Whether the name says that the file is the text of a licence: then what it says is unknown rather than nothing."""
    name = path.rpartition("/")[2]
    return len(name) <= LONGEST_NAME and bool(_LICENCE_FILE.fullmatch(name)) and not _BUNDLE.search(name)


def is_mention_file(path: str) -> bool:
    """Whether the file may tell the licence of what is around it (the other candidate names of The Stack v2)."""
    name = path.rpartition("/")[2]
    return len(name) <= LONGEST_NAME and bool(_MENTION_FILE.fullmatch(name)) and not _NOT_PROSE.search(name)


def speaks_for_others(path: str) -> bool:
    """Whether the file is a manifest, a licence file or one that may tell the licence of what is around it."""
    return is_manifest(path.rpartition("/")[2]) or is_licence_file(path) or is_mention_file(path)


def file_evidence(path: str, text: str) -> list[Evidence]:
    """Everything that the file at `path` says about licences; empty for most files. Pure; linear in the text's length."""
    found = [Evidence(path, *match) for match in dict.fromkeys(_own(text))]
    return found + _for_others(path, text, found)


def unread_evidence(path: str) -> list[Evidence]:
    """For a file whose text cannot be had (too large, not text): a licence file asks for something unknown."""
    return [Evidence(path, UNKNOWN, "not read", scope="folder")] if is_licence_file(path) else []


def _own(text: str) -> list[tuple[str, str, float]]:
    """What a text says about itself: (expression, rule, score)."""
    lower = text.lower()
    found = []
    if "spdx-license-identifier" in lower:
        found = [(expression, "spdx tag", 1.0) for expression in _spdx_tags(text)]
        lower = _SPDX_LINE.sub(" ", lower)
    for passage in passages(lower):
        fields, passage = _fields(passage)
        found += [(expression, "field", 1.0) for expression in fields]
        found += [(match.expression, match.rule, match.score) for match in recognise(words_of(passage))]
    return found


def _spdx_tags(text: str) -> list[str]:
    """The expressions of the SPDX lines."""
    return [_spdx_line(line) for line in _SPDX_LINE.findall(text)]


def _spdx_line(line: str) -> str:
    """The expression of an SPDX line, without what closes the comment around it."""
    words = _SPDX_WORDS.findall(_SPDX_ENDS.split(line)[0])
    expression = " ".join(words).replace("( ", "(").replace(" )", ")")
    return canonical(expression) or expression or UNKNOWN


def _fields(passage: str) -> tuple[list[str], str]:
    """The licences that fields like `license = "MIT"` name, and the passage without those fields."""
    found: list[str] = []

    def taken(field: re.Match[str]) -> str:
        expression = normalised(field[1])
        if expression == UNKNOWN:
            return field[0]
        found.append(expression)
        return " "

    return found, _FIELD.sub(taken, passage) if "licen" in passage else passage


def _for_others(path: str, text: str, own: list[Evidence]) -> list[Evidence]:
    name = path.rpartition("/")[2]
    if is_manifest(name):
        manifest = read_manifest(name, text)
        return [Evidence(path, conjunction(manifest.licences), manifest.field, scope="folder")] if manifest.licences else []
    if (path == "debian/copyright" or path.endswith("/debian/copyright")) and (paragraphs := read_dep5(text)):
        return [Evidence(path, part.expression, part.rule, 1.0, "patterns", part.patterns) for part in paragraphs]
    if is_licence_file(path):
        return _licence_file(path, text) + _documentation(path, text)
    if is_mention_file(path):
        said = [Evidence(path, one.expression, one.rule, one.score, "folder") for one in own if one.rule != "field"]
        return said + _documentation(path, text)
    return []


def _documentation(path: str, text: str) -> list[Evidence]:
    """The licence that holds for folders of documentation alone."""
    named = documentation_in(words_of(text)) if "creative" in text.lower() else []
    return [Evidence(path, conjunction(named), "documentation", 1.0, "patterns", DOCUMENTATION)] if named else []


def _licence_file(path: str, text: str) -> list[Evidence]:
    """A licence file as a whole; one that only names its licence; else something unknown. Parts of it for named files."""
    if _CRAN_TEMPLATE.fullmatch(text):
        return []
    parts = parts_of(text)
    named = [_named_files(path, part) for part in parts if not part.is_compiled]
    text = without(text, parts)
    tags = [Evidence(path, expression, "spdx tag", scope="folder") for expression in _spdx_tags(text)]
    text = _SPDX_LINE.sub(" ", text)
    matches = recognise(words_of(text))
    stated = [Evidence(path, match.expression, match.rule, match.score, "folder") for match in matches if match.rule != "vague"]
    if not tags and not stated and len(text) <= SHORT_FIELD:
        introduces_parts = parts and _INTRODUCTION.fullmatch(text)
        return named if introduces_parts else [Evidence(path, normalised(text), "name", scope="folder")]
    return (tags + stated or [Evidence(path, UNKNOWN, "unknown text", scope="folder")]) + named


def _named_files(path: str, part: Part) -> Evidence:
    """What a part of a licence file says of the files that it names."""
    matches = recognise(words_of(_SPDX_LINE.sub(" ", part.text)))
    stated = _spdx_tags(part.text) + [match.expression for match in matches if match.rule != "vague"]
    rule = f"Files: {' '.join(part.patterns[::2])[:80]}"
    return Evidence(path, conjunction(stated) or UNKNOWN, rule, 1.0, "patterns", part.patterns)
