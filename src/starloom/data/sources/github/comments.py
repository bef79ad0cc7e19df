"""Text that people write in threads: who is a bot, what a mail program added, how long a comment may be (§4.3, §4.4).

Everything goes line by line, so that no text can make it slow. Knows nothing of events and templates.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from starloom.redaction import replace_usernames

LINES = 80
"""A longer comment keeps its first 60 and last 20 lines (the published code; the paper says 100)."""

LAST_LINES = 20

_BOTS = frozenset(
    {
        "apache-hbase",
        "autorestci",
        "claassistant",
        "claassistantio",
        "cmsbuild",
        "codecov-commenter",
        "codecov-io",
        "coveralls",
        "danger-public",
        "dnfclas",
        "karma-pr-reporter",
        "msftclas",
        "probot-stale",
        "pydocteur",
        "sparkqa",
    }
)
_BOT_PARTS = ("[bot]", "botmanager", "bors-", "jenkins", "k8s-", "-test-", "travis")
_BOT_ENDINGS = (
    "-automation",
    "-automaton",
    "-benchmark",
    "-build",
    "-ci",
    "-cloud",
    "-deployer",
    "-linter",
    "-service-account",
    "-teamcity",
    "-test",
    "-testing",
    "bot",
)

_MAIL_DATE = re.compile(r"\d{1,4}/\d{1,2}/\d{1,4},? \d{1,2}:\d{2} ?[AP]M")
_MAIL_FIELD = re.compile(r"\**(From|Sent|To|Cc|Subject|Date):\**\s")
_RULE = re.compile(r"_{20,}")


def is_bot(name: str) -> bool:
    """Whether an account's name is one that programs have."""
    name = name.lower()
    return name in _BOTS or name.endswith(_BOT_ENDINGS) or any(part in name for part in _BOT_PARTS)


def calls_bot(text: str, bot: str) -> bool:
    """Whether a comment is a command to `bot`, which answers next."""
    return text.startswith("/") or bot.lower() in text.lower()


def without_mail(text: str) -> str:
    """`text` without what a mail program adds to a reply: headers, quoted lines, footers, rulers."""
    lines = text.strip().split("\n")
    is_mail = any("reply to this email directly" in line.lower() or "notifications@github.com" in line for line in lines)
    kept = [line for line in lines if not _is_mail_line(line.strip(), is_mail)]
    return _RULE.sub("", "\n".join(kept)).strip()


def _is_mail_line(line: str, is_mail: bool) -> bool:
    if line.startswith((">", "Signed-off-by: ")):
        return True
    if "wrote" in line and (_MAIL_DATE.search(line) or (line.startswith("On ") and line.endswith("wrote:"))):
        return True
    footer = "reply to this email directly" in line.lower() or "view it on github" in line.lower()
    return footer or (is_mail and ("notifications@github.com" in line or _MAIL_FIELD.match(line) is not None))


def shortened(text: str, marker: str) -> str:
    """`text` with the middle of more than 80 lines replaced by a line with `marker`."""
    lines = text.split("\n")
    if len(lines) <= LINES:
        return text
    return "\n".join([*lines[: LINES - LAST_LINES], marker, *lines[-LAST_LINES:]])


def without_names(text: str, names: Mapping[str, str]) -> str:
    """`text` with mentions of participants by number; most texts mention none, and those are not looked at word by word."""
    lowered = text.lower()
    return replace_usernames(text, names) if any(name.lower() in lowered for name in names) else text
