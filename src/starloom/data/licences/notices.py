"""Which licences a passage names: the notices of files, references, refusals; the patterns are `notices.json`.

Families (GPL, Apache, Creative Commons, ...) are a name with a version near it; phrases are whole sentences. Every name counts,
except inside sentences that name a licence without granting it. Vague statements ("all rights reserved", "see the licence file")
are told only where nothing else is. Works on words (`words.py`) and is linear in their number. Does not know whole texts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

NEAR = 170  # characters after a name in which its version is looked for

_VERSION = r"(?P<major>\d)(?: (?P<minor>\d\w?))?"
_BEFORE = re.compile(rf"(?:version|v) ?{_VERSION}(?: or (?:any )?later(?: version)?)? of the (?:terms of the )?(?:gnu )?$")
_AFTER = re.compile(rf"^(?:(?: (?!gnu |version |[al]?gpl)\w++){{0,14}}? (?:version |ver |v)|(?: license)?(?: v| )?){_VERSION}\b")
_LATER = re.compile(r"\b(?:(?:any|or|or any|and) (?:later|newer)|or (?:above|higher|greater)|v\d plus)\b")
_DUAL = re.compile(
    r"\b(?:dual|dually) ?(?:licensed|license) (?:\w++ ){0,6}(?:under|with) (?:\w++ ){0,22}(?:\w++)"
    r"|\blicense (?:\w++ ){1,6}?or (?:\w++ ){1,6}?dual(?:ly)? licensed\b"
    r"|\bunder (?:the terms of )?either (?!version)(?:\w++ ){1,8}?or (?!at |any |later |newer )(?:\w++ ){0,7}?license\b"
    r"(?: (?:a?l?gpl )?version \d)?"
    r"|\b(?:choose|select) (?:\w++ ){0,3}?one of the (?:two )?(?:\w++ ){0,2}?licenses (?:described |listed )?below "
    r"(?:\w++ ){0,130}"
)
_OF_DUAL = ("dual", "either ", "one of the ")  # one of which every match holds
_LICENSING = re.compile(r"\b(?:licen[cs]\w*|under|terms|released|distributed|covered|copyright\w*|copyleft)\b")
_CHOICE = re.compile(
    r"\balternatively (?:\w++ ){0,40}(?:gnu|gpl)\b|\bdual (?:mit|bsd) gpl\b"
    r"|\b(?:select|choose) (?:\w++ ){0,6}(?:one of the|either)\b|\bat your (?:option|choice) (?:under )?(?:either|one)\b"
)


@dataclass(frozen=True, slots=True)
class _Family:
    stem: str
    has: str
    name: re.Pattern[str]
    versions: tuple[str, ...]
    default: str
    gnu: bool
    loose: bool

    def named(self, text: str) -> Iterator[tuple[str, str, bool]]:
        """The licences that `text` names: stem, identifier, and whether it tells the version."""
        for match in self.name.finditer(text):
            identifier, has_version = self._identifier(text, match)
            if has_version or not self.loose or self._is_granted(text, match):
                yield self.stem, identifier, has_version

    def _is_granted(self, text: str, match: re.Match[str]) -> bool:
        """Whether the words around a bare abbreviation speak of licensing."""
        return text.startswith(" licen", match.end()) or bool(_LICENSING.search(text[max(0, match.start() - 60) : match.start()]))

    def _identifier(self, text: str, match: re.Match[str]) -> tuple[str, bool]:
        after = text[match.end() : match.end() + NEAR]
        near = _AFTER.search(after) or _BEFORE.search(text[max(0, match.start() - 60) : match.start()])
        version = self._version(near["major"], near["minor"] or "0") if near else None
        if not self.gnu:
            return "-".join(filter(None, (self.stem, version or self.default))), version is not None
        if version is None:
            return f"{self.stem}-{self.default}-or-later", False
        return f"{self.stem}-{version}-{'or-later' if _LATER.search(after) else 'only'}", True

    def _version(self, major: str, minor: str) -> str | None:
        exact = f"{major}.{minor}"
        same_major = (version for version in self.versions if version.startswith(major + "."))
        return exact if exact in self.versions else next(same_major, None)


@dataclass(frozen=True, slots=True)
class _Phrase:
    expression: str
    has: str
    any: re.Pattern[str]
    unless: re.Pattern[str] | None

    def found(self, text: str) -> bool:
        return bool(self.any.search(text)) and not (self.unless and self.unless.search(text))


@dataclass(frozen=True, slots=True)
class _Rules:
    silent: re.Pattern[str]
    documentation: re.Pattern[str]
    families: tuple[_Family, ...]
    phrases: tuple[_Phrase, ...]
    vague: tuple[_Phrase, ...]


@cache
def _rules() -> _Rules:
    table = json.loads(files("starloom.data.licences").joinpath("notices.json").read_text(encoding="utf-8"))
    return _Rules(
        _any_of(table["silent"]),
        _any_of(table["documentation"]),
        tuple(map(_family, table["families"])),
        tuple(map(_phrase, table["phrases"])),
        tuple(map(_phrase, table["vague"])),
    )


def _any_of(patterns: list[str]) -> re.Pattern[str]:
    """One pattern for all; words never give back a part of themselves, so that a search cannot take long."""
    return re.compile("|".join(patterns).replace(r"\w+", r"\w++"))


def _family(entry: dict[str, Any]) -> _Family:
    versions, name = tuple(entry["versions"]), _any_of([entry["name"]])
    return _Family(
        entry["stem"], entry["has"], name, versions, entry["default"], entry.get("gnu", False), entry.get("loose", False)
    )


def _phrase(entry: dict[str, Any]) -> _Phrase:
    unless = entry.get("unless")
    return _Phrase(entry["id"], entry["has"], _any_of(entry["any"]), _any_of(unless) if unless else None)


def notices_in(words: list[str]) -> list[str]:
    """The SPDX expressions of the licences that `words` name, all of which hold, in a fixed order.

    What one sentence offers as "dual licensed under ..." is one expression with OR.
    """
    choices: list[str] = []

    def taken(sentence: re.Match[str]) -> str:
        named = _named(sentence[0])
        if len(named) != 2:
            return sentence[0]
        choices.append(" OR ".join(named))
        return " "

    text = " ".join(words)
    rest = _DUAL.sub(taken, text) if any(word in text for word in _OF_DUAL) else text
    return list(dict.fromkeys([*choices, *_named(rest)]))


def _named(text: str) -> list[str]:
    rules, spaced = _rules(), f" {text} "
    stated = [phrase.expression for phrase in rules.phrases if phrase.has in spaced and phrase.found(text)]
    named = [name for family in rules.families if family.has in spaced for name in family.named(text)]
    told = {stem for stem, _, has_version in named if has_version}
    identifiers = [identifier for stem, identifier, has_version in named if has_version or stem not in told]
    return list(dict.fromkeys([*stated, *identifiers]))


def without_silent(passage: str) -> str:
    """The words of `passage` without sentences that name a licence only to speak about it, or for documentation alone."""
    if "gnu" in passage or "gpl" in passage:
        passage = _rules().silent.sub(" ", passage)
    return _rules().documentation.sub(" ", passage) if "creative" in passage else passage


def documentation_in(words: list[str]) -> list[str]:
    """What `words` say of the licence of documentation, if it has one of its own."""
    sentences = _rules().documentation.findall(" ".join(words))
    return [name for sentence in sentences for name in _named(sentence)]


def vague_in(words: list[str]) -> list[str]:
    """What `words` say about rights without naming a licence."""
    text = " ".join(words)
    return list(dict.fromkeys(phrase.expression for phrase in _rules().vague if phrase.has in text and phrase.found(text)))


def offers_choice(words: list[str]) -> bool:
    """Whether `words` say that one of the licences that they name is enough."""
    return bool(_CHOICE.search(" ".join(words)))
