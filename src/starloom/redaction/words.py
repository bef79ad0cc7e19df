"""Word lists of the detectors, kept in `words.json`."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources


def words(name: str) -> frozenset[str]:
    """The list of that name."""
    return frozenset(_lists()[name])


@cache
def _lists() -> dict[str, list[str]]:
    lists: dict[str, list[str]] = json.loads(resources.files(__package__).joinpath("words.json").read_text(encoding="utf-8"))
    return lists
