"""The language of a file by its name or extension, in Linguist's spelling; the table is `languages.json`.

A first form: the content is not looked at, so `.h` is C and `.m` is Objective-C. Source of the names:
github-linguist's languages.yml.
"""

from __future__ import annotations

import difflib
import json
from functools import cache
from importlib.resources import files

from starloom.core.errors import SettingsError


@cache
def _tables() -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Language by whole file name, by lower-case extension, and by lower-case language name."""
    table = json.loads(files("starloom.data").joinpath("languages.json").read_text(encoding="utf-8"))["languages"]
    by_name = {name: language for language, entry in table.items() for name in entry.get("filenames", ())}
    by_extension = {extension: language for language, entry in table.items() for extension in entry.get("extensions", ())}
    return by_name, by_extension, {language.casefold(): language for language in table}


def language_of(path: str) -> str | None:
    """The language that the last part of `path` tells, or None when it is not in the table."""
    by_name, by_extension, _ = _tables()
    name = path.rpartition("/")[2]
    if name in by_name:
        return by_name[name]
    _, dot, extension = name.rpartition(".")
    return by_extension.get(f".{extension.lower()}") if dot else None


def known_language(name: str) -> str:
    """The table's spelling of a language's name. Raises `SettingsError` for one that it does not have."""
    spellings = _tables()[2]
    if name.strip().casefold() in spellings:
        return spellings[name.strip().casefold()]
    close = difflib.get_close_matches(name.casefold(), spellings, n=3)
    hint = f"; did you mean {' or '.join(spellings[match] for match in close)}?" if close else ""
    raise SettingsError(f"the language '{name}' is not known{hint}")
