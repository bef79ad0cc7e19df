"""E-mail addresses. Looks at each `@` once, at most 64 characters back and a domain's length ahead."""

from __future__ import annotations

import re
from collections.abc import Iterator

from starloom.redaction.finding import Finding, Kind, span
from starloom.redaction.words import words

_LOCAL = re.compile(r"[\w.%+'-]")
_DOMAIN = re.compile(r"(?:[^\W_][\w-]{0,62}\.){1,8}([^\W\d_]{2,24})(?![\w-])")
_MAX_LOCAL = 64
_LONG_ENDINGS = words("long_endings")
_RESERVED = frozenset({"example", "test", "invalid", "localhost"})
_RESERVED_DOMAINS = frozenset({"example.com", "example.org", "example.net", "domain.com", "domain.tld", "email.com", "host.com"})
_FILE_ENDINGS = frozenset({"js", "ts", "go", "kt", "rb", "hs"})
_SHARED_ACCOUNTS = frozenset({"git", "hg", "svn"})


def emails(text: str) -> Iterator[Finding]:
    """Addresses at real domains; not those of documentation (RFC 2606) and not `git@host`."""
    at = text.find("@")
    while at >= 0:
        domain = _DOMAIN.match(text, at + 1)
        start = _local_start(text, at) if domain else at
        if domain and start < at and _is_address(text, start, at, domain):
            yield span(text, start, domain.end(), Kind.EMAIL, "email")
        at = text.find("@", at + 1)


def _local_start(text: str, at: int) -> int:
    start = at
    while start > 0 and at - start < _MAX_LOCAL and _LOCAL.match(text[start - 1]):
        start -= 1
    while start < at and text[start] in ".'-+%":
        start += 1
    return start + 1 if _after_escape(text, start, at) else start


def _after_escape(text: str, start: int, at: int) -> bool:
    """`\\nmail@host`: the letter of an escape sequence is not part of the address."""
    return start > 0 and text[start - 1] == "\\" and text[start] in "nrt" and at - start > 1


def _is_address(text: str, start: int, at: int, domain: re.Match[str]) -> bool:
    if text[at - 1] in ".'" or text[domain.end() : domain.end() + 1] == "(":
        return False
    ending, name, local = domain[1].lower(), domain[0].lower(), text[start:at].lower()
    if not (ending in _LONG_ENDINGS or (len(ending) == 2 and ending.isalpha()) or not ending.isascii()):
        return False
    if ending in _RESERVED or ending in _FILE_ENDINGS or local in _SHARED_ACCOUNTS or text[max(0, start - 3) : start] == "://":
        return False
    labels = name.split(".")
    return ".".join(labels[-2:]) not in _RESERVED_DOMAINS and "example" not in labels and not local.isdecimal()
