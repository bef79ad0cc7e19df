"""Keys that show what they are: a fixed prefix, then characters that no word has. Needs no context.

A format's first test is a plain search for its literal, so a text without it costs next to nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from starloom.redaction.finding import Finding, Kind, span
from starloom.redaction.plausibility import is_placeholder

_FORMATS: tuple[tuple[str, str, str], ...] = (
    # rule, literal, the rest behind the literal; lengths are bounded from above so that each try is
    ("aws access key", "AKIA", r"[A-Z2-7]{16}(?![A-Za-z0-9])"),
    ("aws access key", "ASIA", r"[A-Z2-7]{16}(?![A-Za-z0-9])"),
    ("github token", "ghp_", r"[A-Za-z0-9]{36,255}"),
    ("github token", "gho_", r"[A-Za-z0-9]{36,255}"),
    ("github token", "ghu_", r"[A-Za-z0-9]{36,255}"),
    ("github token", "ghs_", r"[A-Za-z0-9]{36,255}"),
    ("github token", "ghr_", r"[A-Za-z0-9]{36,255}"),
    ("github token", "github_pat_", r"[A-Za-z0-9_]{22,255}"),
    ("gitlab token", "glpat-", r"[\w-]{20,255}"),
    ("slack token", "xox", r"[abeoprs]-[A-Za-z0-9-]{10,255}"),
    ("slack webhook", "https://hooks.slack.com/", r"(?:services|workflows)/[A-Za-z0-9+/]{20,255}"),
    ("discord webhook", "https://discord.com/api/webhooks/", r"[0-9]{15,25}/[\w-]{40,100}"),
    ("stripe key", "k_live_", r"[A-Za-z0-9]{16,255}"),
    ("stripe key", "k_test_", r"[A-Za-z0-9]{16,255}"),
    ("stripe webhook", "whsec_", r"[A-Za-z0-9+/=]{24,255}"),
    ("google api key", "AIza", r"[\w-]{35}(?![\w-])"),
    ("google oauth", "GOCSPX-", r"[\w-]{28}"),
    ("google oauth", "ya29.", r"[\w-]{20,255}"),
    ("ai service key", "sk-", r"(?:[a-z0-9]{2,8}-){0,3}[A-Za-z0-9_-]{32,255}"),
    ("npm token", "npm_", r"[A-Za-z0-9]{36}(?![A-Za-z0-9])"),
    ("pypi token", "pypi-AgE", r"[\w-]{50,255}"),
    ("sendgrid key", "SG.", r"[\w-]{22}\.[\w-]{43}(?![\w-])"),
    ("hugging face token", "hf_", r"[A-Za-z]{34}(?![A-Za-z0-9])"),
    ("digital ocean token", "dop_v1_", r"[a-f0-9]{64}"),
    ("shopify token", "shpat_", r"[a-fA-F0-9]{32}"),
    ("twilio key", "SK", r"[0-9a-f]{32}(?![0-9A-Za-z])"),
    ("age key", "AGE-SECRET-KEY-1", r"[0-9A-Z]{58}"),
    ("json web token", "eyJ", r"[\w-]{10,2000}\.eyJ[\w-]{10,4000}\.[\w-]{10,2000}"),
    ("slack token", "xapp-", r"[0-9]-[A-Z0-9]{8,20}-[0-9]{8,20}-[a-f0-9]{64}"),
    ("telegram token", ":AA", r"[\w-]{33}(?![\w-])"),
    ("mailgun key", "key-", r"[0-9a-f]{32}(?![0-9A-Za-z])"),
    ("square token", "sq0", r"(?:atp|csp)-[\w-]{22,60}"),
    ("databricks token", "dapi", r"[0-9a-f]{32}(?![0-9A-Za-z])"),
    ("linear key", "lin_api_", r"[A-Za-z0-9]{32,60}"),
    ("notion token", "ntn_", r"[A-Za-z0-9]{40,60}"),
    ("ai service key", "gsk_", r"[A-Za-z0-9]{40,60}"),
    ("vault token", "hvs.", r"[\w-]{24,255}"),
    ("nuget key", "oy2", r"[a-z0-9]{43}(?![A-Za-z0-9])"),
    ("grafana token", "glsa_", r"[A-Za-z0-9]{32}_[0-9a-fA-F]{8}"),
    ("docker token", "dckr_", r"[po]at_[\w-]{27,40}"),
    ("artifactory key", "AKCp", r"[A-Za-z0-9]{60,75}(?![A-Za-z0-9])"),
    ("postman key", "PMAK-", r"[a-f0-9]{24}-[a-f0-9]{34}"),
    ("rubygems key", "rubygems_", r"[a-f0-9]{48}"),
    ("new relic key", "NRAK-", r"[A-Z0-9]{27}"),
)
_PATTERNS = [(rule, literal, re.compile(re.escape(literal) + rest, re.ASCII)) for rule, literal, rest in _FORMATS]
_AHEAD = {"k_live_": 1, "k_test_": 1, ":AA": 10}
"""Characters of a key ahead of its literal."""
_PRIVATE_KEY = re.compile(r"-----BEGIN ([A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?)-----")
_KEY_BODY = re.compile(r"(?:[A-Za-z0-9+/=\s\"'\\,;:.#*+_-]){40,20000}")
_MAX_KEY = 20_000
_MIN_KEY = 64


def formats(text: str) -> Iterator[Finding]:
    """Keys and tokens of about thirty services, JSON Web Tokens and private keys in PEM."""
    for rule, literal, pattern in _PATTERNS:
        if literal not in text:
            continue
        for match in pattern.finditer(text):
            start = match.start() - _AHEAD.get(literal, 0)
            apart = start == 0 or (start > 0 and not text[start - 1].isalnum())
            if apart and f"x{text[start : match.start()]}".isalnum() and not is_placeholder(match[0]):
                yield span(text, start, match.end(), Kind.KEY, rule)
    if "PRIVATE KEY" in text:
        yield from _private_keys(text)


def _private_keys(text: str) -> Iterator[Finding]:
    """From the head of a PEM block to its foot, or as far as its letters go when the foot is missing."""
    for head in _PRIVATE_KEY.finditer(text):
        limit = text.find("-----BEGIN", head.end(), head.end() + _MAX_KEY)
        limit = limit if limit >= 0 else min(len(text), head.end() + _MAX_KEY)
        foot = f"-----END {head[1]}-----"
        found = text.find(foot, head.end(), limit)
        body = _KEY_BODY.match(text, head.end(), limit)
        end = found + len(foot) if found >= 0 else (body.end() if body else head.end())
        letters = sum(map(str.isalnum, text[head.end() : end]))
        if letters >= _MIN_KEY:
            yield span(text, head.start(), end, Kind.KEY, "private key")
