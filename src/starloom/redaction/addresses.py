"""IP addresses that lead to somebody: public, not a well-known resolver, not a version number with four parts."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from starloom.redaction.finding import Finding, Kind, span
from starloom.redaction.words import words

_V4 = re.compile(r"[0-9](?<![\w.].)[0-9]{0,2}\.(?:[0-9]{1,3}\.){2}[0-9]{1,3}(?![\w]|\.[0-9]|-[0-9A-Za-z])", re.ASCII)
_V6 = re.compile(r"[23](?:(?<![\w:.].)|(?<=ip6:.))[0-9A-Fa-f]{3}:[0-9A-Fa-f:]{2,35}(?![\w:])", re.ASCII)
"""A character first and what is before it then: so the search skips to the characters that can begin an address."""
_NETWORK = re.compile(r"/(?:[0-9]|1[0-9]|2[0-4])(?![0-9])")
_VERSION_WORD = re.compile(
    r"version|release|revision|\bver\b|assembly|chrome/|firefox/|safari/|section|§|chapter|\boid\b|\biso\b"
)
_VERSION_SIGN = re.compile(
    r"firmware|upgrad|updat|\bdriver|\bv\.? ?$|[=><~^!]= ?[\"']?$|[><~^] ?$|@$|[a-z]-$|(?<![.0-9])[0-9]{0,3}\.[0-9]{1,3} $"
)
_ADDRESS_HINT = re.compile(
    r"\bip|ip\b|_ip|host|addr|server|dns|ping|bind|listen|inet|remote|proxy|gateway|client|peer|route|neighbor|cidr|subnet|forwarded|"
    r"\b(?:ssh|scp|rsync|sftp|telnet|curl|wget|allow|deny|connect) |://\S*$"
)
_ADDRESS_SIGN = re.compile(r":|/32|[\"'], ?[0-9]{2,5}\b|\s+port\b| - - \[|[ \t]+[\w-]+\.[a-z]")
"""Behind an address: a port, the length of a network, a log's or a table of hosts' next columns."""
_SMALL = 32
_SPECIMENS = words("specimens")
_OBJECT_IDENTIFIERS = ("1.3.", "2.5.4.", "2.5.29.")
_RESOLVERS = words("resolvers")


def addresses(text: str) -> Iterator[Finding]:
    """Public IPv4 and IPv6 addresses."""
    for match in _V4.finditer(text):
        if _is_public(match[0]) and not _is_version(text, match) and not _NETWORK.match(text, match.end()):
            yield span(text, match.start(), match.end(), Kind.IP_ADDRESS, "ipv4")
    for match in _V6.finditer(text):
        value = match[0].rstrip(":") if not match[0].endswith("::") else match[0]
        if _is_public(value) and not _NETWORK.match(text, match.end()):
            yield span(text, match.start(), match.start() + len(value), Kind.IP_ADDRESS, "ipv6")


def _is_public(value: str) -> bool:
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    if not address.is_global or address.is_multicast or value in _SPECIMENS or ("." in value and len(set(value.split("."))) == 1):
        return False
    return str(address) not in _RESOLVERS


def _is_version(text: str, match: re.Match[str]) -> bool:
    """Words before it on its line say version; or nothing says address and its numbers are as small as those of versions."""
    line_start = text.rfind("\n", max(0, match.start() - 60), match.start()) + 1 or max(0, match.start() - 60)
    before = text[line_start : match.start()].lower()
    if _VERSION_WORD.search(before) or match[0].startswith(_OBJECT_IDENTIFIERS):
        return True
    named = bool(_ADDRESS_HINT.search(before)) or bool(_ADDRESS_SIGN.match(text, match.end()))
    small = sum(int(part) < _SMALL for part in match[0].split("."))
    return not named and (small >= 3 or bool(_VERSION_SIGN.search(before)))
