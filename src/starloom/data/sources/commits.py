"""The history of a git repository as documents, one a commit.

The vocabulary of StarCoder 2 has no tokens for commits (StarCoder's <commit_before> and its kin are gone), so a commit is
written as the pull request that it could have been: opened by its author, merged, with the template of §4.4. Its filters
are those of pull requests where they apply, and a cap for each repository.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from starloom.core.errors import InputError
from starloom.data.sources.change_licences import ChangeLicences
from starloom.data.sources.changes import Change, change_of, without_data
from starloom.data.sources.git import Objects, modified_files, read_git, run_git
from starloom.data.sources.github.comments import is_bot
from starloom.data.sources.github.pull_request_events import Entry
from starloom.data.sources.github.pull_request_template import Refused, check_title, render
from starloom.data.sources.record import DAMAGED, ReadSettings, Record
from starloom.data.sources.source import open_source

MERGE = "merge"
ROOT = "first commit"
NOT_SAMPLED = "over the cap of its repository"
BOT = "commit of a bot"
NO_CHANGE = "no modified text file"
MANY_FILES = "many modified files"
WRONG_LENGTH = "length of the document"

_TRAILER = re.compile(r"[A-Z][A-Za-z]*(-[A-Za-z]+)*-([Bb]y|[Ii]d|[Tt]o): ")


@dataclass(frozen=True)
class Commits:
    """The commits that lead to `revision` of the repository at `path`.

    At most `max_commits` are kept, drawn by their ids, of at most `max_files` modified files and `max_characters` each. Each has
    the licence that its files have at `revision`.
    """

    path: Path
    repository: str | None = None
    revision: str = "HEAD"
    max_commits: int = 1000
    max_files: int = 20
    max_characters: int = 100_000

    def records(self, settings: ReadSettings) -> Iterator[Record]:
        """One record a commit, newest first. Raises `InputError` for a damaged history."""
        source = open_source(self.path, self.revision)
        if source.kind != "git" or source.version is None:
            raise InputError(f"'{self.path}' has no commits: it is not a git repository")
        lines = run_git(self.path, "rev-list", "--parents", "--end-of-options", source.version).decode().splitlines()
        commits = [line.split() for line in lines]
        licences = ChangeLicences(read_git(self.path, settings.limits, source.version), settings.max_file_bytes)
        drawn = _drawn([ids[0] for ids in commits if len(ids) == 2], self.max_commits, settings.seed)
        with Objects(self.path) as objects, TemporaryDirectory(dir=settings.scratch, prefix="starloom-changes-") as scratch:
            for name, *parents in commits:
                record = Record(self.repository or source.name, f"commit/{name}", "commit", b"", 0, revision=name)
                try:
                    if len(parents) != 1:
                        raise Refused(MERGE if parents else ROOT)
                    if name not in drawn:
                        raise Refused(NOT_SAMPLED)
                    draw = random.Random(f"{settings.seed}/commit/{name}")
                    changes, kept = self._record(record, parents[0], objects, draw, Path(scratch))
                    yield replace(kept, licence=licences.of(changes))
                except Refused as reason:
                    yield replace(record, content=None, refused=reason.reason, detail=reason.detail)

    def _record(
        self, record: Record, parent: str, objects: Objects, draw: random.Random, scratch: Path
    ) -> tuple[list[Change], Record]:
        assert record.revision is not None
        try:
            opening, date = _opening(self.path, record.revision)
            files = modified_files(self.path, parent, record.revision)
        except InputError as error:
            raise Refused(DAMAGED, str(error)) from error
        check_title(opening)
        if is_bot(opening.author):
            raise Refused(BOT, opening.author)
        if len(files) > self.max_files:
            raise Refused(MANY_FILES, f"{len(files):,}")
        changes = [change for file in files if (change := change_of(objects, file, scratch))]
        size = sum(len(line) + 1 for change in changes for line in change.before)
        changes = _kept(changes, draw)
        content = render(_thread(opening), {opening.head: changes}, record.repository, draw)
        if len(text := content.decode()) > self.max_characters:
            raise Refused(WRONG_LENGTH, f"{len(text):,} characters")
        return changes, replace(record, content=content, size=size, date=date)


def _drawn(names: list[str], most: int, seed: int) -> frozenset[str]:
    if len(names) <= most:
        return frozenset(names)
    order = sorted(names, key=lambda name: hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest())
    return frozenset(order[:most])


def _kept(changes: list[Change], draw: random.Random) -> list[Change]:
    kept = without_data({change.path: sum(map(len, change.before)) for change in changes}, draw)
    if not kept:
        raise Refused(NO_CHANGE)
    return [change for change in changes if change.path in kept]


def _opening(folder: Path, commit: str) -> tuple[Entry, str]:
    """What the author said, as the opening of a pull request, and when (UTC)."""
    shown = run_git(
        folder, "show", "--no-patch", "--format=%an%x00%cd%x00%B", "--date=iso-strict-local", "--end-of-options", commit
    )
    author, date, message = shown.decode("utf-8", "replace").split("\0", 2)
    subject, _, body = message.strip().partition("\n")
    lines = [line for line in body.strip().split("\n") if not _TRAILER.match(line)]
    date = date.replace("+00:00", "Z")
    return Entry(0, date, commit, "opened", author, " ".join(subject.split()), "\n".join(lines), head=commit), date


def _thread(opening: Entry) -> list[Entry]:
    return [opening, replace(opening, what="closed", merged=True)]
