"""Secrets that show by their place: an option of a command (`sshpass -p`), an argument of a call (`connect(host, user, "...")`).

A place is looked at where the command or the function is named, over a bounded piece of its line, so time is linear.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from starloom.redaction.finding import Finding, Kind, lowered, occurrences, span
from starloom.redaction.plausibility import is_key, is_password, is_strong

_WORD = r"[\"']?([^\s\"'`|;<>(){}\[\]$]{6,100})(?=[\s\"'`|;)]|$)"
_PASSWORD_ARGUMENT = r"[^()\n]{0,120}?,\s?[\"']([^\"'\s\\]{8,100})[\"']"
_KEY_ARGUMENT = r"[^)\n]{0,60}?[\"']([^\"'\s\\]{16,200})[\"']"
_PLACES: tuple[tuple[str, Kind, str], ...] = (
    ("sshpass", Kind.PASSWORD, r" -p ?" + _WORD),
    ("mysql", Kind.PASSWORD, r"(?:dump|admin)? [^\n|;]{0,80}?(?<= )-p" + _WORD),
    ("curl ", Kind.PASSWORD, r"[^\n|;]{0,120}?(?:-u|--user)[ =][\"']?[\w.@-]{1,60}:" + _WORD),
    ("docker login", Kind.PASSWORD, r"[^\n|;]{0,80}? -p[ =]" + _WORD),
    ("unzip ", Kind.PASSWORD, r"[^\n|;]{0,80}?-P ?" + _WORD),
    ("ldapsearch", Kind.PASSWORD, r"[^\n|;]{0,80}? -w " + _WORD),
    ("connect(", Kind.PASSWORD, _PASSWORD_ARGUMENT),
    ("getconnection(", Kind.PASSWORD, _PASSWORD_ARGUMENT),
    ("login(", Kind.PASSWORD, _PASSWORD_ARGUMENT),
    ("basicauth(", Kind.PASSWORD, _PASSWORD_ARGUMENT),
    ("networkcredential(", Kind.PASSWORD, _PASSWORD_ARGUMENT),
    ("pdo(", Kind.PASSWORD, _PASSWORD_ARGUMENT),
    ("jwt.encode(", Kind.KEY, _KEY_ARGUMENT),
    ("jwt.sign(", Kind.KEY, _KEY_ARGUMENT),
    ("hmac.new(", Kind.KEY, _KEY_ARGUMENT),
    ("createhmac(", Kind.KEY, _KEY_ARGUMENT),
    ("secretkeyspec(", Kind.KEY, _KEY_ARGUMENT),
    ("fernet(", Kind.KEY, _KEY_ARGUMENT),
    ("oauthhandler(", Kind.KEY, _KEY_ARGUMENT),
)  # fmt: skip
_PATTERNS = [(name, kind, re.compile(pattern)) for name, kind, pattern in _PLACES]


def arguments(text: str) -> Iterator[Finding]:
    """Passwords and keys given to commands and functions that want one there."""
    lower = lowered(text)
    for name, kind, pattern in _PATTERNS:
        for at in occurrences(lower, name):
            match = pattern.match(text, at + len(name))
            if match and _plausible(match[1], kind, is_call=name.endswith("(")):
                yield span(text, *match.span(1), kind, f"given to {name.strip(' (')}")


def _plausible(value: str, kind: Kind, *, is_call: bool) -> bool:
    """Functions take other strings too, so a password there must look like one by itself."""
    if kind is Kind.KEY:
        return is_key(value, "")
    return is_strong(value) if is_call else is_password(value)
