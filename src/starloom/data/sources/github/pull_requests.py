"""GitHub pull requests as documents (specification §4.4): which are kept, from events and from repositories on the disk.

The events say what people did and wrote; the files before and after come from a git repository `owner/name` (or
`owner/name.git`) below a folder, which must hold the commits that the events name. `pull_request_template` writes the text.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from starloom.core.errors import InputError
from starloom.data.sources.change_licences import ChangeLicences
from starloom.data.sources.changes import Change, change_of, without_data
from starloom.data.sources.git import Objects, git_folder, modified_files, read_git, run_git
from starloom.data.sources.github.comments import is_bot
from starloom.data.sources.github.events import Problem, read_events
from starloom.data.sources.github.pull_request_events import Entry, entry_of
from starloom.data.sources.github.pull_request_template import Refused, check_texts, render
from starloom.data.sources.rawfile import is_unusable
from starloom.data.sources.record import DAMAGED, ReadSettings, Record
from starloom.data.sources.spill import Groups

NO_OPENING = "no opening of the pull request"
BOT_OPENED = "opened by a bot"
NO_PERSON = "no comment by a person"
BASE_CHANGED = "base changed"
NOT_ACCEPTED = "neither approved nor merged"
NOT_SAMPLED = "over the share of its repository"
NO_DIFF = "no initial difference"
WRONG_LENGTH = "length of the document"

SHORTEST = 200
MOST_FILES = 300


@dataclass(frozen=True)
class PullRequests:
    """The pull requests in GitHub Archive's events at `path`, with files from the git repositories below `repositories`.

    `max_characters` is the longest document kept (100,000 characters, about 25,000 tokens, in StarCoder 2); `sample` draws
    from repositories with many pull requests as §4.4 says.
    """

    path: str
    repositories: Path
    max_characters: int = 100_000
    sample: bool = True

    def records(self, settings: ReadSettings) -> Iterator[Record]:
        """One record a pull request, and one for each line or file that cannot be read. Raises `InputError`."""
        with Groups(settings) as groups, TemporaryDirectory(dir=settings.scratch, prefix="starloom-changes-") as scratch:
            for event in read_events(self.path):
                if isinstance(event, Problem):
                    yield event.record()
                elif (entry := entry_of(event)) is not None:
                    groups.add(event.repository, asdict(entry))
            for repository, values in groups:
                yield from self._repository(repository, [Entry(**value) for value in values], settings, Path(scratch))

    def _repository(self, repository: str, entries: list[Entry], settings: ReadSettings, scratch: Path) -> Iterator[Record]:
        entries.sort(key=lambda entry: (entry.number, entry.date, len(entry.id), entry.id))
        threads = {
            number: list({entry.id: entry for entry in group}.values())
            for number, group in groupby(entries, key=lambda entry: entry.number)
        }
        share = _share(len(threads)) if self.sample else 1.0
        with ExitStack() as stack:
            store = _store(self.repositories, repository)
            files = None if store is None else _Files(store, stack.enter_context(Objects(store)), settings)
            for number, thread in threads.items():
                draw = random.Random(f"{settings.seed}/pull request/{repository}#{number}")
                yield self._record(repository, thread, draw, share, files, scratch)

    def _record(
        self,
        repository: str,
        thread: list[Entry],
        draw: random.Random,
        share: float,
        files: _Files | None,
        scratch: Path,
    ) -> Record:
        size = sum(len(entry.text.encode("utf-8", "replace")) for entry in thread)
        last = thread[-1]
        record = Record(
            repository,
            f"pull/{last.number}",
            "pull request",
            b"",
            size,
            revision=last.head or None,
            date=thread[0].date,
            stars=last.stars,
            licence=last.licence or None,
        )
        try:
            people = _checked(thread)
            if draw.random() >= share:
                raise Refused(NOT_SAMPLED, f"{share:.4f}")
            if files is None:
                raise Refused(NO_DIFF, "the repository is not on the disk")
            changes = _changes(people, files.store, files.objects, scratch, draw)
            content = render(people, changes, repository, draw)
            length = len(content.decode())
            if not SHORTEST <= length <= self.max_characters:
                raise Refused(WRONG_LENGTH, f"{length:,} characters")
            return replace(record, content=content, licence=files.licence_of(changes, record.licence))
        except Refused as reason:
            return replace(record, content=None, refused=reason.reason, detail=reason.detail)


@dataclass
class _Files:
    """The repository of pull requests on the disk."""

    store: Path
    objects: Objects
    settings: ReadSettings

    @cached_property
    def _licences(self) -> ChangeLicences:
        return ChangeLicences(read_git(self.store, self.settings.limits), self.settings.max_file_bytes)

    def licence_of(self, changes: dict[str, list[Change]], host: str | None) -> str | None:
        """What applies to all changed files at HEAD, with what the host says. Raises `Refused` without a HEAD to look at."""
        try:
            return self._licences.of([change for heads in changes.values() for change in heads], host)
        except InputError as error:
            raise Refused(DAMAGED, str(error)) from error


def _share(pull_requests: int) -> float:
    """The share of a repository's pull requests that is kept (the published code)."""
    return 0.8007 - 0.0007 * pull_requests if pull_requests <= 1000 else 100 / pull_requests


def _checked(thread: list[Entry]) -> list[Entry]:
    """What people did, beginning with the opening. Raises `Refused`."""
    start = next((place for place, entry in enumerate(thread) if entry.what == "opened"), None)
    if start is None:
        raise Refused(NO_OPENING)
    thread = thread[start:]
    if is_bot(thread[0].author):
        raise Refused(BOT_OPENED, thread[0].author)
    people = [entry for entry in thread if not is_bot(entry.author) or entry.what == "closed"]
    if not any(entry.what in ("comment", "review", "code comment") for entry in people):
        raise Refused(NO_PERSON)
    merged = any(entry.merged for entry in thread)
    if not merged and not any(entry.what == "review" and entry.state == "approved" for entry in people):
        raise Refused(NOT_ACCEPTED)
    if len({entry.base for entry in thread if entry.base}) > (2 if merged else 1):
        raise Refused(BASE_CHANGED)
    check_texts(thread[0])
    return people


def _store(folder: Path, repository: str) -> Path | None:
    if ".." in repository.split("/") or is_unusable(repository) or repository.startswith("/"):
        return None
    places = (folder / repository, folder / f"{repository}.git")
    return next((place for place in places if place.is_dir() and git_folder(place)), None)


def _changes(thread: list[Entry], store: Path, objects: Objects, scratch: Path, draw: random.Random) -> dict[str, list[Change]]:
    """The changes of each head commit against the base, by the head's id. Raises `Refused` when the first has none."""
    changes: dict[str, list[Change]] = {}
    base = thread[0].base
    for head in dict.fromkeys(entry.head for entry in thread if entry.head):
        try:
            start = run_git(store, "merge-base", "--end-of-options", base, head).decode().strip() or base
            changes[head] = _compared(store, objects, start, head, scratch)
        except InputError as error:
            if head == thread[0].head:
                raise Refused(NO_DIFF, str(error)) from error
    sizes = {change.path: sum(map(len, change.before)) for heads in changes.values() for change in heads}
    kept = without_data(sizes, draw)
    changes = {head: [change for change in heads if change.path in kept] for head, heads in changes.items()}
    if not changes.get(thread[0].head):
        raise Refused(NO_DIFF)
    return changes


def _compared(store: Path, objects: Objects, base: str, head: str, scratch: Path) -> list[Change]:
    files = modified_files(store, base, head)
    if len(files) > MOST_FILES:
        raise Refused(NO_DIFF, f"{len(files):,} files are modified")
    return [change for file in files if (change := change_of(objects, file, scratch))]
