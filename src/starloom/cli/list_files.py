"""Files that list things, one a line, for options such as `--list`."""

from __future__ import annotations

from pathlib import Path

from starloom.core.errors import InputError


def lines_of(path: Path | None) -> list[str]:
    """The lines of a list file without comments and blanks. Raises `InputError`."""
    if path is None:
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the list '{path}' cannot be read: {error}") from error
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
