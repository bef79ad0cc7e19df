"""Names of repositories that are held out for validation: how they are compared, and what to say of one that is not there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches


def canonical(name: str) -> str:
    """A name as PyPI compares it (PEP 503): `Zope_Interface` and `zope.interface` are one."""
    return re.sub(r"[-_.]+", "-", name).lower()


def close_names(name: str, known: Mapping[str, str]) -> list[str]:
    """Up to three names like `name`, the nearest first; `known` holds names by their canonical form."""
    return [known[match] for match in get_close_matches(canonical(name), known, n=3)]


def not_among(name: str, close: list[str]) -> str:
    """The message for a name that no source has."""
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    return f"the validation repository '{name}' is not among the sources{hint}"
