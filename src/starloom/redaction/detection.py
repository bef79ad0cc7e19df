"""All detectors over one text, once, and one answer where they overlap."""

from __future__ import annotations

from starloom.redaction.addresses import addresses
from starloom.redaction.arguments import arguments
from starloom.redaction.assignments import assignments
from starloom.redaction.emails import emails
from starloom.redaction.finding import Finding, Kind, span
from starloom.redaction.formats import formats
from starloom.redaction.leaks import leaks
from starloom.redaction.names import names

_SECRETS = frozenset({Kind.KEY, Kind.PASSWORD})


def detect(text: str, *, betterleaks: bool) -> list[Finding]:
    """What one look finds, in order, none overlapping another."""
    secrets = [*formats(text), *assignments(text), *arguments(text)]
    if betterleaks:
        secrets += _additional(text, secrets, list(leaks(text)))
    others = [*addresses(text), *emails(text), *names(text)]
    return _without_overlaps(text, _joined(text, secrets), others)


def _additional(text: str, own: list[Finding], more: list[Finding]) -> list[Finding]:
    """Of betterleaks' findings, those of its general rules (which know no syntax) only where ours found nothing."""
    taken = bytearray(len(text))
    for finding in own:
        taken[finding.start : finding.end] = b"\1" * (finding.end - finding.start)
    return [each for each in more if "generic" not in each.rule or not any(taken[each.start : each.end])]


def _joined(text: str, secrets: list[Finding]) -> list[Finding]:
    """Secrets that overlap become one span, of the longest one's kind."""
    joined: list[Finding] = []
    for finding in sorted(secrets):
        if joined and finding.start < joined[-1].end:
            last = joined.pop()
            named = max(last, finding, key=lambda each: each.end - each.start)
            finding = span(text, last.start, max(last.end, finding.end), named.kind, named.rule)
        joined.append(finding)
    return joined


def _without_overlaps(text: str, secrets: list[Finding], others: list[Finding]) -> list[Finding]:
    """Secrets stay; another finding stays where it touches nothing that stays before it."""
    kept: list[Finding] = []
    ranks = {kind: rank for rank, kind in enumerate(Kind)}
    taken = bytearray(len(text))
    for finding in [*secrets, *sorted(others, key=lambda each: (ranks[each.kind], each.start, -each.end))]:
        if finding.kind in _SECRETS or not any(taken[finding.start : finding.end]):
            taken[finding.start : finding.end] = b"\1" * (finding.end - finding.start)
            kept.append(finding)
    return sorted(kept)
