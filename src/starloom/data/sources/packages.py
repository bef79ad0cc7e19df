"""What a package calls itself: the name and version in the metadata of a wheel or an npm tarball.

File names do not tell: npm leaves the scope's mark out (`types-node-20.1.0.tgz` is `@types/node`), wheels change dashes.
"""

from __future__ import annotations

import json
from email.parser import HeaderParser

from starloom.core.errors import InputError
from starloom.data.sources.rawfile import Limits, RawFile
from starloom.data.sources.source import Source

_MANIFEST_BYTES = 10 * 2**20


def package_name(source: Source, limits: Limits) -> tuple[str, str | None]:
    """Name and version of `source`, from its metadata where it is a wheel or npm tarball that holds any."""
    ending = source.path.name.lower().rpartition(".")[2]
    if source.kind != "archive" or ending not in ("whl", "tgz"):
        return source.name, source.version
    for file in source.files(limits, strip_top=source.has_top_folder):
        if _is_manifest(file, ending) and not file.refused and file.size <= _MANIFEST_BYTES:
            name, version = _read(file, ending)
            return name or source.name, version or source.version
    return source.name, source.version


def _is_manifest(file: RawFile, ending: str) -> bool:
    if ending == "tgz":
        return file.path == "package.json"
    return file.path.endswith(".dist-info/METADATA") and file.path.count("/") == 1


def _read(file: RawFile, ending: str) -> tuple[str | None, str | None]:
    try:
        text = file.read().decode("utf-8", "replace")
        if ending == "whl":
            headers = HeaderParser().parsestr(text.partition("\n\n")[0])
            return _word(headers.get("Name")), _word(headers.get("Version"))
        values = json.loads(text)
    except (InputError, ValueError, RecursionError):
        return None, None
    return (_word(values.get("name")), _word(values.get("version"))) if isinstance(values, dict) else (None, None)


def _word(value: object) -> str | None:
    """A name or version as it may stand in a list: one printable word."""
    usable = isinstance(value, str) and value.isprintable() and len(value) <= 214 and value.split() == [value]
    return str(value) if usable else None
