"""Participants of a thread (issue, pull request, question) by number instead of by name: username_0, username_1, ...

StarCoder 2 paper, sections 2.2 and 3.2: in the order of first appearance; mentions of participants inside the text are replaced,
outsiders are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_WORD = re.compile(r"(?<![\w-])@?([^\W_][\w-]*)")
_MIN_BARE = 4


def pseudonyms(participants: Iterable[str]) -> dict[str, str]:
    """`{name: "username_i"}` by first appearance; names are compared without case, as GitHub does."""
    numbered: dict[str, str] = {}
    by_lower: dict[str, str] = {}
    for name in participants:
        pseudonym = by_lower.setdefault(name.lower(), f"username_{len(by_lower)}")
        numbered.setdefault(name, pseudonym)
    return numbered


def replace_usernames(text: str, names: Mapping[str, str]) -> str:
    """Replace each mention of a name in `names`: `@name` always, the bare word from four characters on (`bob` may be prose).

    A name of several words or with other characters than letters, digits, `_` and `-` is replaced wherever it stands alone.
    """
    simple = {name.lower(): pseudonym for name, pseudonym in names.items() if _WORD.fullmatch(name)}
    others = sorted((name for name in names if name and name.lower() not in simple), key=lambda name: (-len(name), name))
    if others:
        alternatives = "|".join(map(re.escape, others))
        text = re.sub(rf"(?<!\w)@?({alternatives})(?!\w)", lambda match: match[0].replace(match[1], names[match[1]]), text)
    return _WORD.sub(lambda match: _mention(match, simple), text)


def _mention(match: re.Match[str], names: Mapping[str, str]) -> str:
    pseudonym = names.get(match[1].lower())
    if pseudonym is None or (len(match[1]) < _MIN_BARE and not match[0].startswith("@")):
        return match[0]
    return f"@{pseudonym}" if match[0].startswith("@") else pseudonym
