"""The language of every file by name and content, and Linguist's flags."""

from __future__ import annotations

import difflib
from typing import Any

import pyarrow as pa

from starloom.core.errors import SettingsError
from starloom.data import linguist
from starloom.data.pipeline.rows import each, table_of
from starloom.data.pipeline.settings import DataSettings
from starloom.data.pipeline.step import VERDICT, Step
from starloom.data.quality.filters import other_language

SCHEMA = pa.schema(
    [
        pa.field("language", pa.string()),
        pa.field("language_confident", pa.bool_()),
        pa.field("is_vendor", pa.bool_()),
        pa.field("is_generated", pa.bool_()),
        *VERDICT,
    ]
)
_READS = ("path", "kind", "text", "said_language")


def languages_step(settings: DataSettings) -> Step:
    """The step for these settings. Raises `SettingsError` for a language that does not exist."""
    asked = None if settings.languages is None else frozenset(map(_known, settings.languages))

    def function(table: pa.Table) -> pa.Table:
        return table_of((_row(asked, *values) for values in each(table, *_READS)), SCHEMA)

    known = {"languages": None if asked is None else sorted(asked), "backend": linguist.backend()}
    return Step("languages", SCHEMA, function, reads=_READS, settings=known)


def _row(asked: frozenset[str] | None, path: str, kind: str, text: str | None, said: str | None) -> dict[str, Any]:
    """Rendered texts (issues and such) have the language that their source says, if any, and are never asked for one."""
    if text is None:
        return {}
    if kind != "file":
        return {"language": said, "language_confident": said is not None, "is_vendor": False, "is_generated": False}
    data = text.encode()
    found = linguist.detect(path, data)
    language = found.language or said
    return {
        "language": language,
        "language_confident": found.confident,
        "is_vendor": linguist.is_vendor(path),
        "is_generated": linguist.is_generated(path, data),
        "dropped": other_language(language, asked),
    }


def _known(name: str) -> str:
    known = linguist.canonical(name)
    if known is None:
        close = difflib.get_close_matches(name, linguist.language_names(), n=3)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise SettingsError(f"the language '{name}' is not known{hint}")
    return known
