"""GitHub issues as documents (specification §4.3).

    <issue_start>Title: T
    username_0: text<issue_comment>username_1: text ... <issue_closed> ... <|endoftext|>

An issue is all events that name it; pull requests, which GitHub counts among issues, are left to `pull_requests`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

from starloom.data.sources.github.comments import calls_bot, is_bot, shortened, without_mail, without_names
from starloom.data.sources.github.events import Event, Problem, at, number_at, read_events, text_at
from starloom.data.sources.record import TOO_LARGE, ReadSettings, Record
from starloom.data.sources.rendering import Rendering
from starloom.data.sources.spill import Groups
from starloom.redaction import pseudonyms

BOT_THREAD = "thread of bots"
SHORT_THREAD = "short thread"
NO_ENGAGEMENT = "thread of one user that is long"
NO_OPENING = "no text of the issue"

SHORTEST = 200
LONGEST_OF_ONE = 7000
MOST_EVENTS_OF_ONE = 10
"""Characters, characters, events: the thresholds of §4.3 (paper, section 2.2)."""


class _Entry(NamedTuple):
    """One event of an issue; a tuple, because one is written and read for every event."""

    date: str
    id: str
    what: Literal["opened", "comment", "closed", "seen"]
    author: str
    text: str = ""
    title: str = ""


@dataclass(frozen=True)
class Issues:
    """The issues in GitHub Archive's events at `path` (a folder, a file, or an address that fsspec opens)."""

    path: str

    def records(self, settings: ReadSettings) -> Iterator[Record]:
        """One record an issue, and one for each line or file that cannot be read. Raises `InputError`."""
        with Groups(settings) as groups:
            for event in read_events(self.path):
                if isinstance(event, Problem):
                    yield event.record()
                    continue
                key = _key(event)
                for entry in _entries(event) if key else ():
                    groups.add(key, entry)
            for key, values in groups:
                yield _record(key, [_Entry(*value) for value in values], settings)


def _key(event: Event) -> str:
    number = number_at(event.payload, "issue", "number")
    is_issue = event.type in ("IssuesEvent", "IssueCommentEvent") and at(event.payload, "issue", "pull_request") is None
    return f"{event.repository}#{number:010d}" if is_issue and number is not None and number >= 0 else ""


def _entries(event: Event) -> Iterator[_Entry]:
    """What an event tells: a comment, an opening or closing; and always how the issue itself read at that time."""
    issue, action = at(event.payload, "issue"), event.payload.get("action")
    what: Literal["opened", "seen"] = "opened" if event.type == "IssuesEvent" and action == "opened" else "seen"
    author = text_at(issue, "user", "login") or event.actor
    yield _Entry(event.date, event.id, what, author, text_at(issue, "body"), text_at(issue, "title"))
    if event.type == "IssueCommentEvent" and action in ("created", None):
        author = text_at(event.payload, "comment", "user", "login") or event.actor
        yield _Entry(event.date, event.id, "comment", author, text_at(event.payload, "comment", "body"))
    elif event.type == "IssuesEvent" and action == "closed":
        yield _Entry(event.date, event.id, "closed", event.actor)


def _record(key: str, entries: list[_Entry], settings: ReadSettings) -> Record:
    repository, _, number = key.rpartition("#")
    thread = _thread(entries)
    size = sum(len(entry.text.encode("utf-8", "replace")) for entry in thread)
    reason, people = _judged(thread)
    content = None if reason else _render(people)
    if content is not None and len(content) > settings.max_file_bytes:
        content, reason = None, TOO_LARGE
    return Record(repository, f"issues/{int(number)}", "issue", content, size, date=thread[0].date, refused=reason)


def _thread(entries: list[_Entry]) -> list[_Entry]:
    """The opening, then comments and closings by time; an event that the archive holds twice counts once."""
    once = {(entry.id, entry.what): entry for entry in sorted(entries, key=_when)}
    opening = min(once.values(), key=lambda entry: (entry.what != "opened", entry.what != "seen", _when(entry)))
    return [opening, *(entry for entry in once.values() if entry.what in ("comment", "closed"))]


def _when(entry: _Entry) -> tuple[str, int, str, str]:
    return entry.date, len(entry.id), entry.id, entry.what


def _judged(thread: list[_Entry]) -> tuple[str | None, list[_Entry]]:
    """Why an issue is no document, or None and what is left of it."""
    if not thread[0].title:
        return NO_OPENING, []
    if is_bot(thread[0].author):
        return BOT_THREAD, []
    people = [_cleaned(entry) for entry in _without_bots(thread)]
    texts = [entry for entry in people if entry.text or entry.what == "closed" or entry is people[0]]
    characters = len(people[0].title) + sum(len(entry.text) for entry in texts)
    if characters < SHORTEST:
        return SHORT_THREAD, []
    if len({entry.author.lower() for entry in texts if entry.what != "closed"}) < 2 and (
        characters >= LONGEST_OF_ONE or len(texts) > MOST_EVENTS_OF_ONE
    ):
        return NO_ENGAGEMENT, []
    return None, texts


def _without_bots(thread: list[_Entry]) -> list[_Entry]:
    """Without what bots wrote and without comments that called them, each just before its answer."""
    answered = {
        first.id
        for first, second in pairwise(thread)
        if first.what == "comment" and not is_bot(first.author) and is_bot(second.author) and calls_bot(first.text, second.author)
    }
    return [entry for entry in thread if entry.what == "closed" or not (is_bot(entry.author) or entry.id in answered)]


def _cleaned(entry: _Entry) -> _Entry:
    text = shortened(without_mail(entry.text), "[Truncated]")
    return _Entry(entry.date, entry.id, entry.what, entry.author, text, " ".join(entry.title.split()))


def _render(thread: list[_Entry]) -> bytes:
    names = pseudonyms(entry.author for entry in thread if entry.what != "closed")
    opening, *rest = thread
    document = Rendering().mark("<issue_start>").text("Title: ", without_names(opening.title, names), "\n")
    document.text(names[opening.author], ": ", without_names(opening.text, names))
    for entry in rest:
        if entry.what == "closed":
            document.mark("<issue_closed>")
        else:
            document.mark("<issue_comment>").text(names[entry.author], ": ", without_names(entry.text, names))
    return document.to_bytes()
