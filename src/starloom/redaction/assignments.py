"""Secrets that show by what they are assigned to: `password = "..."`, `"api_key": "..."`, `--token ...`, `://user:...@`.

Every occurrence of a telling word is looked at once, over a bounded piece of text, so time is linear. The patterns cover the
ways of writing an assignment that are in use, not a grammar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from starloom.redaction.finding import Finding, Kind, lowered, occurrences, span
from starloom.redaction.plausibility import CONSTANT, is_key, is_password, is_placeholder, is_random, is_strong

_PASSWORD_WORDS = (
    "passwd",
    "password",
    "passphrase",
    "pwd",
    "passwort",
    "contraseña",
    "mot_de_passe",
    "_pass",
    "userpass",
    "dbpass",
    "storepass",
    "keypass",
    "requirepass",
    "rootpw",
    "bindpw",
    "identified by",
    "securestring",
)
_SHORT_PASSWORD_WORDS = ("pass", "psk", "pw")
"""They count where they stand alone and something is assigned to them."""
_KEY_WORDS = (
    "secret",
    "token",
    "api_key",
    "apikey",
    "api-key",
    "access_key",
    "accesskey",
    "private_key",
    "privatekey",
    "auth_key",
    "authkey",
    "encryption_key",
    "signing_key",
    "credential",
    "api key",
    "app_key",
    "accountkey",
    "key-data",
    '"auth"',
)
_TYPE = r"(?:\s?:\s?[\w.&<>\[\]]{1,30}(?=\s?=)|\s?\{[ \w;]{1,40}\}(?=\s?=))?"
_SIGN = (
    r"\s{0,20}(?::=|=>|<-|->|==|\|\|=|=|:|,|\(|\s)(?:\s{0,5}| {6,12})(?:new\s)?(?:std::string|String::from|String)?[({\[@]?\s?"
)
_JOIN = r"[\w.\-\]\[)]{0,30}(?:\\{0,3}[\"'`]){0,2}[\])]?" + _TYPE + _SIGN
_QUOTED = re.compile(_JOIN + r"(?:[brfuLN]{0,2})\\{0,3}(\"{1,3}|'{1,3}|`|\[\[)([^\"'`\n\\]{6,200})(?:\\{0,3}[\"'`]|\]\])")
_NEAR = re.compile(r"[^\n]{0,60}?[\"'`]([^\s\"'`()]{8,200})[\"'`]")
_BARE = re.compile(r"[\w.\-]{0,30}(?: ?[:?]?= ?|: ?)([^\s\"'`,;<>(){}\[\]&|]{6,200})(?=[\s&\"'`;,<]|$)")
_ELEMENT = re.compile(r"[\w.\-]{0,30}[\"']?(?:\s[^<>\n]{0,60})?(?:</key)?>\s{0,20}(?:<(?:value|string)>)?([^<>\s]{6,200})</")
_NAMED_VALUE = re.compile(
    r"[\w.\-]{0,30}[\"']?\s?[,{]?\s{1,20}-?[\"']?(?:value|Value|content|default)[\"']?\s?[:= ]\s?[\"']([^\"'\n]{6,200})[\"']"
)
_DEFAULT = re.compile(r"[\w.\-]{0,30}:[-=]?([^\s\"'`,;<>(){}\[\]&|:$]{6,200})\}")
_FLAG = re.compile(r"[\w\-]{0,20}[ =]([^\s\"'`,;<>(){}]{6,200})")
_SAID = re.compile(r"[\w\-]{0,20}(?:[ \w]{0,30} is|[ \w]{0,20}:| --\w+)? ([^\s\"'`,;<>(){}\[\]]{8,200}?)(?=\.?(?:[\s\"'`,;]|$))")
_ASSIGNED = re.compile(r"[\"'`\])]{0,3}\s?(?:[:?|]{0,2}=|:)")
_SCHEME = re.compile(r"(?:bearer|basic|token|bot|api-?key)(?:[\"'],)?\s{1,3}[\"']?([\w.~+/-]{16,1000}={0,2})")
_URL = re.compile(r"://([^\s:/@\"'`<>{}()\[\]$]{0,80}):([^\s:/@\"'`<>{}$\\]{1,100})@([\w\[][\w.-]{0,100})")
_EXAMPLE_HOST = re.compile(r"(?:^|\.)example(?:\.(?:com|org|net))?$")
_CODE = re.compile(r"\.[A-Za-z_]|\$|::|->|^[A-Z][a-z]+(?:[A-Z][a-z]+)*$|^\w+\.\w+$")
_MAX_BEFORE = 60
MIN_WORD = 9
"""Shorter passwords of letters alone in a URL are manuals' (`scott:tiger@`, `user:password@`) unless nobody could say them."""


def assignments(text: str) -> Iterator[Finding]:
    """Passwords and keys by their context."""
    lower = lowered(text)
    for word in (*_PASSWORD_WORDS, *_SHORT_PASSWORD_WORDS):
        yield from _values(text, lower, word, Kind.PASSWORD)
    for word in _KEY_WORDS:
        yield from _values(text, lower, word, Kind.KEY)
    yield from _headers(text, lower)
    yield from _urls(text)


def _values(text: str, lower: str, word: str, kind: Kind) -> Iterator[Finding]:
    for at in _places(lower, word):
        behind = at + len(word)
        for pattern in (_QUOTED, _NAMED_VALUE, _ELEMENT):
            match = pattern.match(text, behind)
            if match and _plausible(text, at, match, kind):
                yield span(text, *match.span(match.lastindex or 1), kind, f"assigned to {word}")
                break
        else:
            yield from _unquoted(text, at, behind, word, kind)


def _places(lower: str, word: str) -> Iterator[int]:
    """Where the word stands; `tokenizer` has no token, `_passive` no pass."""
    for at in occurrences(lower, word):
        behind = at + len(word)
        if word not in _SHORT_PASSWORD_WORDS:
            stands = not lower.startswith(("iz", "ive", "ed", "es", "ing"), behind)
        else:
            stands = not lower[max(0, at - 1) : at].isalnum() and _ASSIGNED.match(lower, behind) is not None
        if stands:
            yield at


def _unquoted(text: str, at: int, behind: int, word: str, kind: Kind) -> Iterator[Finding]:
    """`WORD=value` and `word: value` up to the end of a line, `--word value`, `${WORD:-value}`: what is code is not a value."""
    expansion = text.rfind("${", max(0, at - 30), at) >= 0
    flag = text.rfind("--", max(0, at - 20), at) >= 0 and " " not in text[max(0, at - 20) : at].rpartition("--")[2]
    match = (_DEFAULT if expansion else _FLAG if flag else _BARE).match(text, behind)
    if match and not _CODE.search(match[1]) and _plausible(text, at, match, kind):
        yield span(text, *match.span(1), kind, f"assigned to {word}")
        return
    shows = is_random if kind is Kind.KEY else is_strong
    for pattern in (_NEAR, _SAID):
        match = pattern.match(text, behind)
        if match and shows(match[1]) and _plausible(text, at, match, kind):
            yield span(text, *match.span(1), kind, f"beside {word}")
            return


def _plausible(text: str, at: int, match: re.Match[str], kind: Kind) -> bool:
    group = match.lastindex or 1
    value, before = match[group], text[max(0, at - 20) : match.start(group)].rpartition("\n")[2]
    return is_password(value) if kind is Kind.PASSWORD else is_key(value, before)


def _headers(text: str, lower: str) -> Iterator[Finding]:
    """`Authorization: Bearer ...` and its like."""
    for word in ("authorization", "authenticationheadervalue"):
        for at in _places(lower, word):
            match = _SCHEME.search(lower, at, at + 60 + 1000)
            if match and match.start() - at <= _MAX_BEFORE and is_key(text[match.start(1) : match.end(1)], ""):
                yield span(text, *match.span(1), Kind.KEY, "authorization header")


def _urls(text: str) -> Iterator[Finding]:
    """The password of `scheme://user:password@host`."""
    for match in _URL.finditer(text):
        value = match[2]
        if not (
            is_placeholder(value)
            or CONSTANT.match(value)
            or _EXAMPLE_HOST.search(match[3])
            or value == match[1]
            or value.isdecimal()
            or (value.isalpha() and len(value) < MIN_WORD and not is_random(value))
        ):
            yield span(text, *match.span(2), Kind.PASSWORD, "url")
