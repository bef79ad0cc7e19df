"""The licence of a commit: what applies, at the end of the history, to all files that it changes.

A commit shows parts of files, so it stands under the licences of these files: what licence files and manifests in their folders
and above say today, and what they said themselves. Where nothing is known of one of them, nothing is known of the commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from starloom.data.licences.evidence import Evidence, file_evidence, speaks_for_others, unread_evidence
from starloom.data.licences.expressions import conjunction
from starloom.data.licences.verdicts import Propagation
from starloom.data.sources.changes import Change
from starloom.data.sources.rawfile import RawFile


class CommitLicences:
    """What the `files` of a repository say about licences; those that speak for others are read, up to `max_bytes` each."""

    def __init__(self, files: Iterable[RawFile], max_bytes: int) -> None:
        paths: list[str] = []
        evidence: list[Evidence] = []
        for file in files:
            paths.append(file.path)
            if not file.refused and speaks_for_others(file.path):
                evidence += _said(file, max_bytes)
        self._repository = Propagation(paths, evidence)

    def of(self, changes: Sequence[Change]) -> str | None:
        """The SPDX expression for a commit with these changes, None when a file has no known licence."""
        found = [self._of(change) for change in changes]
        return conjunction(found) if all(found) else None

    def _of(self, change: Change) -> str:
        own = file_evidence(change.path, "\n".join(change.before))
        above, _ = self._repository.of(change.path)
        return conjunction(filter(None, [above, *(item.expression for item in own if item.scope == "file")]))


def _said(file: RawFile, max_bytes: int) -> list[Evidence]:
    if file.size > max_bytes:
        return unread_evidence(file.path)
    return file_evidence(file.path, file.read().decode("utf-8", "replace"))
