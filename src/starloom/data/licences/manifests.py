"""What package manifests say about themselves: name, version and licence, as SPDX where it can be told.

Reads Python core metadata, npm, Cargo, Composer, gemspec and R manifests and `pyproject.toml`. A manifest that cannot be
parsed says nothing. Knows nothing of repositories.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.parser import HeaderParser
from typing import Any

from starloom.data.licences.expressions import UNKNOWN
from starloom.data.licences.names import SHORT_FIELD, normalised
from starloom.data.licences.parts import parts_of, without
from starloom.data.licences.recognition import recognise
from starloom.data.licences.words import words_of


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a manifest says; `licences` are SPDX expressions which all hold, `field` names where they were found."""

    name: str | None = None
    version: str | None = None
    licences: tuple[str, ...] = ()
    field: str = ""


def is_manifest(file_name: str) -> bool:
    """Whether a file of this name is read by `read_manifest`."""
    return file_name in _READERS or file_name.endswith(".gemspec")


def read_manifest(file_name: str, text: str) -> Manifest:
    """Read the manifest called `file_name`, for which `is_manifest` holds."""
    try:
        return _READERS.get(file_name, _gemspec)(text)
    except (ValueError, RecursionError, AttributeError, TypeError):
        return Manifest()


def _core_metadata(text: str) -> Manifest:
    headers = HeaderParser().parsestr(text)

    def one(name: str) -> str | None:
        return str(headers[name]).strip() if headers[name] is not None else None

    name, version = one("Name"), one("Version")
    if expression := one("License-Expression"):
        return Manifest(name, version, (expression,), "License-Expression")
    found, fields = _licence_field(one("License") or ""), []
    if found:
        fields.append("License")
    classifiers = [str(value) for value in headers.get_all("Classifier", []) if str(value).startswith("License ::")]
    for licence in filter(None, map(_classified, classifiers)):
        found.append(licence)
        fields.append("Classifier")
    return Manifest(name, version, tuple(dict.fromkeys(found)), ", ".join(dict.fromkeys(fields)))


def _licence_field(field: str) -> list[str]:
    if not field or field.upper() == "UNKNOWN":
        return []
    if len(field) > SHORT_FIELD or field.count("\n") > 2:
        own = without(field, [part for part in parts_of(field) if part.is_compiled])
        return [match.expression for match in recognise(words_of(own))] or [UNKNOWN]
    return [normalised(field)]


def _classified(classifier: str) -> str | None:
    """The licence of a trove classifier; None for one that names only the approval."""
    name = classifier.split(" :: ")[-1].strip()
    return None if name in ("OSI Approved", "License") else normalised(name)


def _package_json(text: str) -> Manifest:
    package = json.loads(text)
    value = package.get("license", package.get("licenses"))
    options = value if isinstance(value, list) else [value]
    names = [option.get("type") if isinstance(option, dict) else option for option in options]
    texts = [normalised(name.strip("()")) for name in names if isinstance(name, str) and name]
    return Manifest(package.get("name"), package.get("version"), (" OR ".join(texts),) if texts else (), "license")


def _toml(text: str) -> Manifest:
    table: Mapping[str, Any] = tomllib.loads(text.removeprefix("\ufeff"))
    for path in (("project",), ("tool", "poetry"), ("package",)):
        section: Any = table
        for key in path:
            section = section.get(key, {})
        licence = section.get("license")
        if isinstance(licence, dict):
            licence = licence.get("text")
        if isinstance(licence, str) and licence:
            found = tuple(_licence_field(licence.replace("/", " OR ") if path == ("package",) else licence))
            return Manifest(section.get("name"), section.get("version"), found, f"{'.'.join(path)}.license")
    return Manifest()


def _description(text: str) -> Manifest:
    """An R package's `DESCRIPTION`: `MIT + file LICENSE`, `GPL-2 | GPL-3`, `GPL (>= 2)`."""
    headers = HeaderParser().parsestr(text)
    if headers["Package"] is None or headers["License"] is None:
        return Manifest()
    options = (re.sub(r"\+? *file LICEN[CS]E", "", option).strip() for option in str(headers["License"]).split("|"))
    found = [normalised(option) for option in options if option]
    return Manifest(str(headers["Package"]), headers["Version"], (" OR ".join(found),) if found else (), "License")


_GEM_LICENCE = re.compile(r"^[ \t]*+\w++\.licenses?[ \t]*=[ \t]*([^\n#]{1,200})", re.MULTILINE)
_QUOTED = re.compile(r"[\"']([^\"'\n]{1,80})[\"']")


def _gemspec(text: str) -> Manifest:
    """A `.gemspec`: the quoted names on the lines that set the licence; several all hold, to be safe."""
    found = [normalised(name) for line in _GEM_LICENCE.findall(text) for name in _QUOTED.findall(line)]
    return Manifest(licences=tuple(dict.fromkeys(found)), field="license")


_READERS: dict[str, Callable[[str], Manifest]] = {
    "METADATA": _core_metadata,
    "PKG-INFO": _core_metadata,
    "package.json": _package_json,
    "composer.json": _package_json,
    "pyproject.toml": _toml,
    "Cargo.toml": _toml,
    "DESCRIPTION": _description,
}
