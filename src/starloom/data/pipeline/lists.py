"""Lists and rules that settings name by their files: their content decides whether a stage is done, not their place. So does
that of the rules that come with the package."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from starloom.core.errors import InputError
from starloom.core.files import sha256_of
from starloom.data.pipeline.markers import digest


def fingerprint(paths: Sequence[str]) -> list[str]:
    """The SHA-256 of each file, and of each file in each folder. Raises `InputError` for one that is missing."""
    return [found for path in paths for found in _digests(path)]


@cache
def rules_of(name: str) -> str:
    """A fingerprint of the code and lists of a module or package: after an upgrade, results of two versions never mix."""
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    place = Path(spec.origin)
    places = [place] if spec.submodule_search_locations is None else sorted(place.parent.iterdir())
    return digest([[place.name, sha256_of(place)] for place in places if place.is_file()])


def _digests(path: str) -> tuple[str, ...]:
    place = Path(path)
    if place.is_dir():
        return tuple(f"{file.relative_to(place)} {sha256_of(file)}" for file in sorted(place.rglob("*")) if file.is_file())
    try:
        return (sha256_of(place),)
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror}") from error
