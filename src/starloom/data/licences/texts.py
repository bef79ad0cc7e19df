"""Which licences a text states, by characteristic phrases; the phrases are `texts.json`.

A first form of what a scanner of licences does. It errs to one side: every licence that a text names counts, and a text
that names none that we know is unknown. Knows nothing of where the text was found.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

UNKNOWN = "LicenseRef-Unknown"

_OTHER = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class _Rule:
    identifier: str
    all: tuple[re.Pattern[str], ...]
    without: tuple[re.Pattern[str], ...]

    def matches(self, text: str) -> bool:
        return all(phrase.search(text) for phrase in self.all) and not any(phrase.search(text) for phrase in self.without)


@cache
def _table() -> tuple[tuple[_Rule, ...], tuple[_Rule, ...], re.Pattern[str], re.Pattern[str]]:
    """Rules for all licences, those for copyleft notices alone, what is blanked, and where the text is cut."""
    table = json.loads(files("starloom.data.licences").joinpath("texts.json").read_text(encoding="utf-8"))

    def rules(key: str) -> tuple[_Rule, ...]:
        return tuple(
            _Rule(entry["id"], tuple(map(re.compile, entry["all"])), tuple(map(re.compile, entry.get("without", ()))))
            for entry in table[key]
        )

    copyleft = rules("copyleft")
    return rules("texts") + copyleft, copyleft, re.compile("|".join(table["blank"])), re.compile("|".join(table["cut"]))


def licences_in(text: str) -> list[str]:
    """The SPDX expressions that a licence file states, all of which hold; `[UNKNOWN]` when it states none that we know."""
    rules, _, blank, cut = _table()
    plain = blank.sub(" ", cut.split(_OTHER.sub(" ", text.casefold()), maxsplit=1)[0])
    return [rule.identifier for rule in rules if rule.matches(plain)] or [UNKNOWN]


def copyleft_in(head: str) -> list[str]:
    """The copyleft licences that the head of a source file names."""
    if "GNU" not in head and "GPL" not in head:
        return []
    _, rules, blank, _ = _table()
    plain = blank.sub(" ", _OTHER.sub(" ", head.casefold()))
    return [rule.identifier for rule in rules if rule.matches(plain)]
