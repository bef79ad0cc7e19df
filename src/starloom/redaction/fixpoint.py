"""Find and redact until there is nothing more to find.

What is replaced may uncover something beside it (a mail address that ended in a key, say). So the redacted text is looked at
again, and what turns up is brought back to the places of the original. A text without findings is looked at once.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from starloom.redaction.detection import detect
from starloom.redaction.finding import Finding, span
from starloom.redaction.replacement import replaced, replacements

MAX_ROUNDS = 6


@dataclass(frozen=True, slots=True)
class Redacted:
    """The new text, and what was found at its places in the old one."""

    text: str
    findings: list[Finding]


def redact(text: str, *, betterleaks: bool = True) -> Redacted:
    """Replace what `find` finds. Redacting the result again changes nothing. Errors are those of `find`."""
    findings = find(text, betterleaks=betterleaks)
    return Redacted(replaced(text, findings), findings)


def find(text: str, *, betterleaks: bool = True) -> list[Finding]:
    """Personal data and secrets in `text`, in order, none overlapping another.

    Offsets count characters of the string. Time is linear in its length. `betterleaks=False` leaves out the rules of that library
    (extra `data`) and finds fewer kinds of keys. Raises `MissingExtraError` when it is wanted and absent.
    """
    findings = more = detect(text, betterleaks=betterleaks)
    for _ in range(MAX_ROUNDS):
        if not more:
            break
        more = detect(replaced(text, findings), betterleaks=betterleaks)
        findings = _together(text, findings, more)
    return findings


def _together(text: str, findings: list[Finding], more: list[Finding]) -> list[Finding]:
    """`findings`, and `more` of the redacted text at its places in `text`; one that swallows a placeholder stands for it."""
    if not more:
        return findings
    starts, ends, shift = [], [], 0
    for finding, replacement in zip(findings, replacements(findings), strict=True):
        starts.append(finding.start + shift)
        ends.append(finding.start + shift + len(replacement))
        shift += len(replacement) - (finding.end - finding.start)

    def home(place: int, *, is_end: bool) -> int:
        before = bisect_right(starts, place - is_end) - 1
        if before < 0:
            return place
        if place - is_end < ends[before]:
            return findings[before].end if is_end else findings[before].start
        return findings[before].end + place - ends[before]

    new = [span(text, home(each.start, is_end=False), home(each.end, is_end=True), each.kind, each.rule) for each in more]
    places = [each.start for each in new]
    kept = [each for each in findings if not _covered(each, new, places)]
    return sorted([*kept, *new])


def _covered(finding: Finding, spans: list[Finding], starts: list[int]) -> bool:
    before = bisect_right(starts, finding.start) - 1
    return before >= 0 and finding.end <= spans[before].end
