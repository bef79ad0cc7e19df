"""Whether a file is worth reading and keeping in `data build`: functions that return the reason to drop it, or None.

What a path, a name or a size tells is judged here; what a text tells, by those of `rules` that this build has always used
(`verdict` has all). Knows nothing of repositories, licences or duplicates.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from starloom.data.quality import rules
from starloom.data.quality.signals import measure

EXCLUDED = "excluded by pattern"
UNKNOWN_LANGUAGE = "language unknown"
OTHER_LANGUAGE = "language not asked for"
TOO_LARGE = "too large"
NOT_UTF8 = "not UTF-8"
UNKNOWN_LICENCE = "licence unknown"
OTHER_LICENCE = "licence not permissive"
EXACT_DUPLICATE = "exact duplicate"
NEAR_DUPLICATE = "near duplicate"
NOT_EXPRESSIBLE = "bytes that the tokenizer lacks"


def excluded(path: str, patterns: tuple[str, ...]) -> str | None:
    """A path that one of the shell patterns matches (`*` matches `/` as well)."""
    return EXCLUDED if any(fnmatchcase(path, pattern) for pattern in patterns) else None


def other_language(language: str | None, asked: frozenset[str] | None) -> str | None:
    """A language that we cannot name, or that is not among those asked for (None: all that we know)."""
    if language is None:
        return UNKNOWN_LANGUAGE
    return OTHER_LANGUAGE if asked is not None and language not in asked else None


def too_large(size: int, max_bytes: int) -> str | None:
    """More than `max_bytes` bytes."""
    return TOO_LARGE if size > max_bytes else None


def check_text(text: str, language: str) -> str | None:
    """The first reason of `data build` to drop a text of this language, or None."""
    drop = rules.empty(text)
    if drop is None:
        signals = measure(text)
        drop = rules.long_lines(signals, language) or rules.generated(text) or rules.few_letters(signals, language)
    return None if drop is None else drop.reason
