"""The licences of changes: what applies, at one revision of a repository, to the files that a commit or pull request changes.

Both show parts of files, so they stand under the licences of these files: what licence files and manifests in their folders and
above say, and what the files say themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from starloom.data.licences.evidence import Evidence, file_evidence, speaks_for_others, unread_evidence
from starloom.data.licences.expressions import conjunction
from starloom.data.licences.verdicts import Propagation
from starloom.data.sources.changes import Change
from starloom.data.sources.rawfile import RawFile


class ChangeLicences:
    """What the `files` of a repository say about licences; those that speak for others are read, up to `max_bytes` each."""

    def __init__(self, files: Iterable[RawFile], max_bytes: int) -> None:
        paths: list[str] = []
        evidence: list[Evidence] = []
        for file in files:
            paths.append(file.path)
            if not file.refused and speaks_for_others(file.path):
                evidence += _said(file, max_bytes)
        self._repository = Propagation(paths, evidence)

    def of(self, changes: Sequence[Change], host: str | None = None) -> str | None:
        """The SPDX expression of everything that applies, None when nothing is known of a file.

        `host` is what the host of the repository says, which applies to all files (`NOASSERTION`: one that it does not know).
        """
        found = [self._of(change) for change in changes]
        if host and host != "NOASSERTION":
            return conjunction([host, *filter(None, found)])
        return conjunction(found) if found and all(found) else host

    def _of(self, change: Change) -> str:
        own = file_evidence(change.path, "\n".join(change.before))
        above, _ = self._repository.of(change.path)
        return conjunction(filter(None, [above, *(item.expression for item in own if item.scope == "file")]))


def _said(file: RawFile, max_bytes: int) -> list[Evidence]:
    if file.size > max_bytes:
        return unread_evidence(file.path)
    return file_evidence(file.path, file.read().decode("utf-8", "replace"))
