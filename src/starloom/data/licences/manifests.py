"""What package manifests say about themselves: name, version and licence, as SPDX where it can be told.

Reads `METADATA` and `PKG-INFO` (Python core metadata), `package.json`, `pyproject.toml` and `Cargo.toml`. A manifest that
cannot be parsed says nothing. Knows nothing of repositories.
"""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from typing import Any

from starloom.data.licences.texts import UNKNOWN, licences_in

MANIFESTS = frozenset({"METADATA", "PKG-INFO", "package.json", "pyproject.toml", "Cargo.toml"})

SHORT_FIELD = 120  # a longer `License` field is the text of a licence
_NAMES = {
    r"(the )?(mit|expat)( licen[cs]e)?( \(?mit\)?)?": "MIT",
    r"apache([ -]software)?( licen[cs]e)?(,? ?(version|v\.?)? ?-?2(\.0)?)?( licen[cs]e)?|asl ?2(\.0)?|apl ?2(\.0)?": "Apache-2.0",
    r"(new |modified |revised |\(?3[- ]clause\)? |three[- ]clause )bsd( licen[cs]e)?": "BSD-3-Clause",
    r"bsd[- ]?\(?3[- ]?(clause)?\)?( licen[cs]e)?": "BSD-3-Clause",
    r"(simplified |2[- ]clause )bsd( licen[cs]e)?|bsd[- ]?2[- ]?(clause)?( licen[cs]e)?": "BSD-2-Clause",
    r"bsd([- ]style|[- ]like)?( licen[cs]e)?": "LicenseRef-BSD",
    r"isc( licen[cs]e)?( \(?iscl\)?)?": "ISC",
    r"psf([- ]?2(\.0)?)?( licen[cs]e)?|python software foundation( licen[cs]e)?": "PSF-2.0",
    r"zpl[- ]?(version )?2\.1|zope public licen[cs]e.*": "ZPL-2.1",
    r"public[- ]domain": "LicenseRef-Public-Domain",
    r"(the )?unlicense( \(unlicense\))?": "Unlicense",
    r"zlib(/libpng)?( licen[cs]e)?": "Zlib",
    r"hpnd|historical permission notice and disclaimer \(hpnd\)": "HPND",
    r"mpl[- ]?2(\.0)?|mozilla public licen[cs]e,? (version )?2\.0( \(mpl 2\.0\))?": "MPL-2.0",
    r"(gnu )?(lgpl|lesser general|library or lesser|library general).*": "LGPL-2.1-or-later",
    r"(gnu )?(a|affero )(gpl|general).*": "AGPL-3.0-or-later",
    r"(gnu )?(gpl|general public).*3.*": "GPL-3.0-or-later",
    r"(gnu )?(gpl|general public).*": "GPL-2.0-or-later",
    r"cc0.*": "CC0-1.0",
    r"academic free licen[cs]e \(afl\)": "AFL-3.0",
    r"boost software licen[cs]e 1\.0 \(bsl-1\.0\)": "BSL-1.0",
    r"mit no attribution license \(mit-0\)": "MIT-0",
    r"university of illinois/ncsa open source license": "NCSA",
    r"universal permissive license \(upl\)": "UPL-1.0",
}
_PATTERNS = [(re.compile(pattern, re.IGNORECASE), identifier) for pattern, identifier in _NAMES.items()]
_GNU = re.compile(r"[AL]?GPL-\d\.\d(-only|-or-later|\+)?")
_EXPRESSION = re.compile(r"[A-Za-z0-9.+-]+-[0-9][A-Za-z0-9.+-]*|.*\s(AND|OR|WITH)\s.*")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a manifest says; `licences` are SPDX expressions which all hold, `field` names where they were found."""

    name: str | None = None
    version: str | None = None
    licences: tuple[str, ...] = ()
    field: str = ""


def read_manifest(file_name: str, data: bytes) -> Manifest:
    """Read the manifest called `file_name`, one of `MANIFESTS`."""
    try:
        if file_name in ("METADATA", "PKG-INFO"):
            return _core_metadata(data)
        if file_name == "package.json":
            return _package_json(json.loads(data))
        return _toml(tomllib.loads(data.decode("utf-8-sig")))
    except (ValueError, RecursionError, AttributeError, TypeError):
        return Manifest()


def normalised(field: str) -> str:
    """The SPDX form of a short licence field (`Apache 2.0` -> `Apache-2.0`); expressions stay, the rest is `UNKNOWN`."""
    field = " ".join(field.split()).strip(" .\"'")
    if _GNU.fullmatch(field):
        return field
    for pattern, identifier in _PATTERNS:
        if pattern.fullmatch(field):
            return identifier
    return field if _EXPRESSION.fullmatch(field) else UNKNOWN


def _core_metadata(data: bytes) -> Manifest:
    headers = BytesHeaderParser().parsebytes(data)

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
        return licences_in(field)
    return [normalised(field)]


def _classified(classifier: str) -> str | None:
    """The licence of a trove classifier; None for one that names only the approval."""
    name = classifier.split(" :: ")[-1].strip()
    return None if name in ("OSI Approved", "License") else normalised(name)


def _package_json(package: dict[str, Any]) -> Manifest:
    value = package.get("license", package.get("licenses"))
    options = value if isinstance(value, list) else [value]
    names = [option.get("type") if isinstance(option, dict) else option for option in options]
    texts = [normalised(name.strip("()")) for name in names if isinstance(name, str) and name]
    return Manifest(package.get("name"), package.get("version"), (" OR ".join(texts),) if texts else (), "license")


def _toml(table: dict[str, Any]) -> Manifest:
    for path in (("project",), ("tool", "poetry"), ("package",)):
        section: Any = table
        for key in path:
            section = section.get(key, {})
        licence = section.get("license")
        if isinstance(licence, dict):
            licence = licence.get("text")
        if isinstance(licence, str) and licence:
            found = tuple(_licence_field(licence))
            return Manifest(section.get("name"), section.get("version"), found, f"{'.'.join(path)}.license")
    return Manifest()
