"""The language of a file by its name and content, as GitHub's Linguist sees it, and its flags: vendored, generated, binary.

The chain is go-enry's (modeline, file name, shebang, extension, heuristics, then a Bayes classifier among what is left), the
tool that The Stack v2 used (StarCoder 2 paper, section 2.1). Names are the newest Linguist's, whatever release enry follows:
`linguist.json` holds ids, which stay when a language is renamed, and all names that it has had. Where enry has no wheel, the
table by name and extension (`languages`) answers instead: a warning says so, `backend()` says so for fingerprints, nothing is
confident, and flags that it cannot tell are None.

enry is a library made from Go: in a child made by fork it hangs once the parent has used it. Start processes by spawn.
"""

from __future__ import annotations

import json
import platform
import sys
import warnings
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.resources import files
from types import ModuleType
from typing import Any

from starloom.core.errors import MissingExtraError, require
from starloom.data.languages import language_of

HEAD_BYTES = 16 * 1024
"""So much of a file decides its language: the same agreement as whole files, at twice the speed (benchmarks/linguist.py)."""

_BINARY_HEAD_BYTES = 8000  # go-enry's, and git's
_MAX_GENERATED_BYTES = 64 * 2**20  # lengths are C ints there
_WHEELS = {("linux", "x86_64"), ("darwin", "arm64")}  # of enry-python 0.2, so that nothing is missing there by necessity


class LinguistWarning(UserWarning):
    """Languages come from names alone, because enry is not to be had on this platform."""


@dataclass(frozen=True, slots=True)
class Detection:
    """A language by name and Linguist's id (None: none found, or none known), and whether more than a guess decided.

    `confident` is False when only the Bayes classifier chose between several languages, or when content was not looked at.
    """

    language: str | None
    language_id: int | None
    confident: bool


_NOTHING = Detection(None, None, False)


def detect(path: str, data: bytes) -> Detection:
    """The language of a file with this path and content (its first 16 KiB are looked at).

    Binary files (NUL in the first 8000 bytes) have none. Raises `MissingExtraError` where enry can be installed and is not.
    """
    head = data[:HEAD_BYTES]
    enry = _enry()
    if enry is None:
        name = None if is_binary(head) else language_of(path)
        return _NOTHING if name is None else _detection(name, confident=False)
    candidates = enry.get_languages(_encodable(path), head)
    return _detection(candidates[0], confident=len(candidates) == 1) if candidates else _NOTHING


def is_vendor(path: str) -> bool | None:
    """Whether the path looks like a copy of somebody else's code (`node_modules/`, `jquery.js`); None without enry."""
    enry = _enry()
    return None if enry is None else bool(enry.is_vendor(_encodable(path)))


def is_generated(path: str, data: bytes) -> bool | None:
    """Whether go-enry takes the file for written by a program (compilers, minifiers, lock files); None without enry."""
    enry = _enry()
    return None if enry is None else bool(enry.is_generated(_encodable(path), data[:_MAX_GENERATED_BYTES]))


def is_binary(data: bytes) -> bool:
    """A NUL in the first 8000 bytes, as git and go-enry see it."""
    return b"\0" in data[:_BINARY_HEAD_BYTES]


def backend() -> str:
    """What answers, with its version; results may differ between two of these, so it belongs into fingerprints."""
    return "names and extensions" if _enry() is None else f"enry-python {metadata.version('enry-python')}"


def canonical(name: str) -> str | None:
    """Linguist's present spelling of a name that is current, former, or an alias, in any case; None for one it never had."""
    return _spellings().get(name) or _spellings().get(name.strip().casefold())


def language_id(name: str) -> int | None:
    """Linguist's id of a language by any of its names; ids stay when names change."""
    spelling = canonical(name)
    return None if spelling is None else int(_table()[spelling]["id"])


def language_type(name: str) -> str | None:
    """`programming`, `data`, `markup` or `prose`, by any name of the language; None for an unknown one."""
    spelling = canonical(name)
    return None if spelling is None else str(_table()[spelling]["type"])


def language_names() -> tuple[str, ...]:
    """All names, in their present spelling."""
    return tuple(_table())


@cache
def _detection(name: str, *, confident: bool) -> Detection:
    return Detection(canonical(name) or name, language_id(name), confident)


@cache
def _table() -> dict[str, dict[str, Any]]:
    languages: dict[str, dict[str, Any]]
    languages = json.loads(files("starloom.data").joinpath("linguist.json").read_text(encoding="utf-8"))["languages"]
    return languages


@cache
def _spellings() -> dict[str, str]:
    """The present name by every name: a present name wins over a former one, and that over an alias."""
    spellings: dict[str, str] = {}
    pairs = [(name, name) for name in _table()]
    for kind in ("formerly", "aliases"):
        pairs += [(other, name) for name, entry in _table().items() for other in entry.get(kind, ())]
    for other, name in pairs:
        spellings.setdefault(other, name)
        spellings.setdefault(other.casefold(), name)
    return spellings


@cache
def _enry() -> ModuleType | None:
    try:
        return require("enry", "data")
    except MissingExtraError:
        if (sys.platform, platform.machine()) in _WHEELS:
            raise
        warnings.warn(
            f"languages come from file names and extensions alone: enry-python has no wheel for {sys.platform} on "
            f"{platform.machine()}; build it from source for detection by content",
            LinguistWarning,
            stacklevel=3,
        )
        return None


def _encodable(path: str) -> str:
    """A path that enry can take: names that are not UTF-8 arrive with lone surrogates."""
    return path.encode("utf-8", "replace").decode()
