"""Personal data and secrets in the texts that are still kept; a text stands here again only where it was changed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from starloom.contract.tokens import PLACEHOLDERS
from starloom.data.pipeline.lists import rules_of
from starloom.data.pipeline.rows import each, table_of
from starloom.data.pipeline.settings import RedactionSettings
from starloom.data.pipeline.step import KEPT, Step
from starloom.redaction.finding import Finding

SCHEMA = pa.schema(
    [
        pa.field("redacted_text", pa.large_string()),
        pa.field("num_redacted", pa.int64()),
        pa.field("redacted_kinds", pa.string()),
        pa.field("placeholders", pa.list_(pa.int64())),
    ]
)


def redaction_step(settings: RedactionSettings) -> Step:
    """The step. `redacted_kinds` is a JSON table of how many findings there are of each kind; `placeholders` are the places
    in `redacted_text` (in characters) where one begins, so that it is not taken for the same characters in a file."""

    def function(table: pa.Table) -> pa.Table:
        return table_of((_row(settings, *values) for values in each(table, "text", KEPT)), SCHEMA)

    known = asdict(settings) | {"rules": rules_of("starloom.redaction")}
    return Step("redaction", SCHEMA, function, reads=("text", KEPT), settings=known)


def _row(settings: RedactionSettings, text: str | None, kept: bool) -> dict[str, Any]:
    if text is None or not kept or not settings.enabled:
        return {}
    from starloom.redaction import redact
    from starloom.redaction.replacement import replacements

    redacted = redact(text, betterleaks=settings.secrets)
    if not redacted.findings:
        return {"num_redacted": 0}
    kinds = Counter(str(finding.kind) for finding in redacted.findings)
    table = json.dumps(dict(sorted(kinds.items())))
    places = placeholders(redacted.findings, replacements(redacted.findings))
    found = {"num_redacted": len(redacted.findings), "redacted_kinds": table, "placeholders": places}
    return {"redacted_text": redacted.text} | found


def placeholders(findings: Sequence[Finding], replacements: Sequence[str]) -> list[int]:
    """Where in the redacted text the replacements that are placeholders begin; addresses are ordinary text."""
    places, shift = [], 0
    for finding, replacement in zip(findings, replacements, strict=True):
        if replacement in PLACEHOLDERS:
            places.append(finding.start + shift)
        shift += len(replacement) - (finding.end - finding.start)
    return places
