"""The licence of every file with its evidence, and whether the policy lets it stay.

What a file says is found file by file; what follows for each file, repository by repository.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby
from typing import Any, NamedTuple

import pyarrow as pa

from starloom.data.licences import MATCHER_VERSION
from starloom.data.licences.evidence import Evidence, file_evidence, unread_evidence
from starloom.data.licences.policies import open_policy
from starloom.data.licences.verdicts import Verdict, judge
from starloom.data.pipeline.kinds import SPEAK_FOR_THEMSELVES
from starloom.data.pipeline.rows import each, table_of
from starloom.data.pipeline.settings import LicenceSettings
from starloom.data.pipeline.stages.ingest import SOURCE_UNREADABLE
from starloom.data.pipeline.step import VERDICT, Step
from starloom.data.sources.rawfile import REPEATED_PATH

EVIDENCE = pa.schema([pa.field("licence_evidence", pa.string())])
SCHEMA = pa.schema(
    [
        pa.field("licence", pa.string()),
        pa.field("licence_source", pa.string()),
        pa.field("licence_type", pa.string()),
        *VERDICT,
    ]
)
_SAYS = ("kind", "path", "text", "ingest.dropped")
_READS = ("source", "repository", "revision", "kind", "path", "said_licence", "licence_evidence", "ingest.dropped")


class _File(NamedTuple):
    source: str
    repository: str
    revision: str | None
    kind: str
    path: str
    said: str | None
    evidence: str | None
    refused: str | None


def licence_steps(settings: LicenceSettings) -> tuple[Step, ...]:
    """The steps for these settings. Raises `SettingsError` for a policy that does not exist."""

    def function(table: pa.Table) -> pa.Table:
        return table_of(_judged(settings, (_File(*values) for values in each(table, *_READS))), SCHEMA)

    matcher = {"matcher": MATCHER_VERSION}
    known = asdict(settings) | {"policy": open_policy(settings.policy).name} | matcher
    return (
        Step("licence_evidence", EVIDENCE, evidence, reads=_SAYS, settings=matcher),
        Step("licences", SCHEMA, function, reads=_READS, settings=known, whole=True),
    )


def evidence(table: pa.Table) -> pa.Table:
    """What each file says about licences, as JSON; null for the most, which say nothing."""
    return table_of(({"licence_evidence": _said(*values)} for values in each(table, *_SAYS)), EVIDENCE)


def _said(kind: str, path: str, text: str | None, refused: str | None) -> str | None:
    if kind not in SPEAK_FOR_THEMSELVES or refused == REPEATED_PATH:  # what stands at that path is another row
        return None
    found = unread_evidence(path) if text is None else file_evidence(path, text)
    return json.dumps([asdict(item) for item in found], ensure_ascii=False) if found else None


def _judged(settings: LicenceSettings, files: Iterator[_File]) -> Iterator[dict[str, Any]]:
    for _, group in groupby(files, key=lambda file: (file.source, file.repository, file.revision)):
        yield from _repository(settings, list(group))


def _repository(settings: LicenceSettings, files: list[_File]) -> Iterator[dict[str, Any]]:
    """The files of one repository; of a source that broke off nothing stays, since the licence may be in what is lost."""
    broken = any(file.refused == SOURCE_UNREADABLE for file in files)
    said = {file.said for file in files}
    host = said.pop() if len(said) == 1 else None
    found = [item for file in files for item in (*_stored(file), *(_by_source(file) if host is None else ()))]
    policy = open_policy(settings.policy)
    for file, verdict in zip(
        files, judge([file.path for file in files], found, policy, host, settings.keep_unlicensed), strict=True
    ):
        reason = SOURCE_UNREADABLE if broken else verdict.dropped
        yield _row(verdict, None if file.kind in settings.exempt_kinds and not broken else reason)


def _stored(file: _File) -> list[Evidence]:
    items = json.loads(file.evidence) if file.evidence else ()
    return [Evidence(**{**item, "patterns": tuple(item["patterns"])}) for item in items]


def _by_source(file: _File) -> list[Evidence]:
    return [Evidence(file.path, file.said, "the source")] if file.said else []


def _row(verdict: Verdict, reason: str | None) -> dict[str, Any]:
    return {
        "licence": verdict.licence,
        "licence_source": verdict.evidence,
        "licence_type": verdict.licence_type,
        "dropped": reason,
        "detail": verdict.licence if reason else None,
    }
