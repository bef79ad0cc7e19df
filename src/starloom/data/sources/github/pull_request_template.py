"""The text of a pull request (paper, section 5.2; specification §4.4), token for token:

    <pr>Title: T
    username_0: description<pr_status>opened<repo_name>R<pr_base><pr_file>path<pr_base_code>code ...
    <pr_diff><pr_file>path<pr_diff_hunk>hunk ...
    <pr_comment>username_1: text<pr_event_id>id
    <pr_review>username_1: text
    <pr_event_id>id<pr_review_state>approved
    <pr_review_comment><pr_event_id>id<pr_in_reply_to_review_id>id<pr_in_reply_to_comment_id>id
        <pr_file>path<pr_diff_hunk_comment_line>n<pr_diff_hunk>hunk<pr_comment>username_1: text
    <pr_file>path<pr_diff_hunk>hunk ...                 when a later event names another head commit
    <pr>username_0<pr_status>closed<pr_is_merged>True<|endoftext|>

(line breaks only where the template says so). Knows nothing of where events and files come from.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from starloom.data.sources.changes import Change, render_base, render_hunks
from starloom.data.sources.github.comments import shortened, without_mail, without_names
from starloom.data.sources.github.pull_request_events import Entry
from starloom.data.sources.rendering import Rendering
from starloom.redaction import pseudonyms

TITLE = "title of the pull request"
DESCRIPTION = "description of the pull request"

TITLE_CHARACTERS = (10, 500)
TEXT_CHARACTERS = (20, 1000)
HUNK_CHARACTERS = 10_000

_TITLE_WORDS = ("depend", "release")
_STATES = {"changes_requested": "changes_required", "dismissed": "rejected"}


class Refused(Exception):
    """A thread that is no document, with the reason."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


def check_texts(opening: Entry) -> None:
    """Raise `Refused` for a title or description that §4.4 rejects."""
    check_title(opening)
    if "Qwiet" in opening.text:
        raise Refused(DESCRIPTION, "written by a program")
    if len(_text(opening.text)) < TEXT_CHARACTERS[0]:
        raise Refused(DESCRIPTION, "short")


def check_title(opening: Entry) -> None:
    """Raise `Refused` for a title that §4.4 rejects."""
    if problem := _title_problem(opening.title):
        raise Refused(TITLE, problem)


def _title_problem(title: str) -> str:
    if len(title) < TITLE_CHARACTERS[0]:
        return "short"
    return next((f"contains '{word}'" for word in _TITLE_WORDS if word in title.lower()), "")


def render(thread: list[Entry], changes: Mapping[str, list[Change]], repository: str, draw: random.Random) -> bytes:
    """The document of a thread that begins with its opening; `changes` against the base by head commit."""
    names = pseudonyms(entry.author for entry in thread)
    opening = thread[0]
    document = Rendering()
    _title(document, opening, names)
    document.mark("<pr_status>").text("opened").mark("<repo_name>").text(repository)
    skipped = render_base(document, [change for heads in changes.values() for change in heads], draw)
    document.mark("<pr_diff>")
    head = opening.head
    _difference(document, changes[head], skipped, draw)
    for entry in thread[1:]:
        if entry.head and entry.head != head:
            head = entry.head
            _difference(document, changes.get(head, []), skipped, draw)
        _RENDER[entry.what](document, entry, names)
    return document.to_bytes()


def _difference(document: Rendering, changes: list[Change], skipped: Mapping[str, int], draw: random.Random) -> None:
    for change in changes:
        render_hunks(document, change, skipped[change.path], draw)


def _title(document: Rendering, entry: Entry, names: Mapping[str, str]) -> None:
    title = without_names(entry.title[: TITLE_CHARACTERS[1]], names)
    document.mark("<pr>").text("Title: ", title, "\n", _said(entry, names))


def _said(entry: Entry, names: Mapping[str, str]) -> str:
    """`username_i: text`, or the name alone when nothing was said."""
    text = without_names(_text(entry.text), names)
    return f"{names[entry.author]}: {text}" if text else names[entry.author]


def _text(text: str) -> str:
    if "codecov" in text.lower():
        return "[OMITTED]"
    text = shortened(_without_html_comments(without_mail(text)).strip(), "[TRUNCATED]")
    return text[: TEXT_CHARACTERS[1]]


def _without_html_comments(text: str) -> str:
    first, *rest = text.split("<!--")
    return first + "".join(part.partition("-->")[2] for part in rest)


def _is_short(entry: Entry) -> bool:
    return len(_text(entry.text)) < TEXT_CHARACTERS[0]


def _status(document: Rendering, entry: Entry, names: Mapping[str, str]) -> None:
    if entry.what in ("reopened", "edited"):
        if not _title_problem(entry.title):
            _title(document, entry, names)
            document.mark("<pr_status>").text(entry.what)
        return
    document.mark("<pr>").text(names[entry.author]).mark("<pr_status>").text(entry.what)
    if entry.what == "closed":
        document.mark("<pr_is_merged>").text(str(entry.merged))


def _comment(document: Rendering, entry: Entry, names: Mapping[str, str]) -> None:
    if not _is_short(entry):
        document.mark("<pr_comment>").text(_said(entry, names))
        _number(document, "<pr_event_id>", entry.event_id)


def _review(document: Rendering, entry: Entry, names: Mapping[str, str]) -> None:
    document.mark("<pr_review>").text(_said(entry, names), "\n")
    _number(document, "<pr_event_id>", entry.event_id)
    document.mark("<pr_review_state>").text(_STATES.get(entry.state, entry.state))


def _code_comment(document: Rendering, entry: Entry, names: Mapping[str, str]) -> None:
    document.mark("<pr_review_comment>")
    _number(document, "<pr_event_id>", entry.event_id)
    _number(document, "<pr_in_reply_to_review_id>", entry.review_id)
    _number(document, "<pr_in_reply_to_comment_id>", entry.reply_to)
    document.mark("<pr_file>").text(entry.path)
    _number(document, "<pr_diff_hunk_comment_line>", entry.line)
    if len(entry.hunk) <= HUNK_CHARACTERS:
        document.mark("<pr_diff_hunk>").text(entry.hunk)
    document.mark("<pr_comment>").text(_said(entry, names))


def _number(document: Rendering, mark: str, number: int | None) -> None:
    if number is not None:
        document.mark(mark).text(str(number))


def _nothing(document: Rendering, entry: Entry, names: Mapping[str, str]) -> None:
    """New commits, whose differences are already there."""


_RENDER = {
    "opened": _nothing,
    "synchronize": _nothing,
    "reopened": _status,
    "edited": _status,
    "closed": _status,
    "comment": _comment,
    "review": _review,
    "code comment": _code_comment,
}
