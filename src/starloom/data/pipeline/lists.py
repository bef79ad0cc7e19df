"""Lists and rules that settings name by their files: their content decides whether a stage is done, not their place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from starloom.core.errors import InputError
from starloom.core.files import sha256_of


def fingerprint(paths: Sequence[str]) -> list[str]:
    """The SHA-256 of each file, and of each file in each folder. Raises `InputError` for one that is missing."""
    return [digest for path in paths for digest in _digests(path)]


def _digests(path: str) -> tuple[str, ...]:
    place = Path(path)
    if place.is_dir():
        return tuple(f"{file.relative_to(place)} {sha256_of(file)}" for file in sorted(place.rglob("*")) if file.is_file())
    try:
        return (sha256_of(place),)
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror}") from error
