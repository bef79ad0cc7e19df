"""What one event says about a pull request: the fields of five kinds of events in one flat row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from starloom.data.sources.github.events import Event, at, number_at, text_at

What = Literal["opened", "reopened", "edited", "closed", "synchronize", "comment", "review", "code comment"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of pull request `number`. `base` and `head` are commits; the rest is empty where the event has no such thing."""

    number: int
    date: str
    id: str
    what: What
    author: str
    title: str = ""
    text: str = ""
    base: str = ""
    head: str = ""
    merged: bool = False
    event_id: int | None = None
    state: str = ""
    review_id: int | None = None
    reply_to: int | None = None
    path: str = ""
    line: int | None = None
    hunk: str = ""
    licence: str = ""
    stars: int | None = None


def entry_of(event: Event) -> Entry | None:
    """The entry of an event, or None when it is not about a pull request."""
    payload = event.payload
    if event.type == "IssueCommentEvent" and isinstance(at(payload, "issue", "pull_request"), dict):
        number = number_at(payload, "issue", "number")
        return None if number is None else _comment(Entry(number, event.date, event.id, "comment", event.actor), payload)
    if event.type not in ("PullRequestEvent", "PullRequestReviewEvent", "PullRequestReviewCommentEvent"):
        return None
    number = number_at(payload, "pull_request", "number") or number_at(payload, "number")
    if number is None:
        return None
    entry = _with_commits(Entry(number, event.date, event.id, "opened", event.actor), payload)
    if event.type == "PullRequestReviewEvent":
        return _review(entry, payload)
    return _pull_request(entry, payload) if event.type == "PullRequestEvent" else _code_comment(entry, payload)


def _with_commits(entry: Entry, payload: dict[str, Any]) -> Entry:
    pull_request = at(payload, "pull_request")
    return replace(
        entry,
        base=_commit(text_at(pull_request, "base", "sha")),
        head=_commit(text_at(pull_request, "head", "sha")),
        licence=text_at(pull_request, "base", "repo", "license", "spdx_id"),
        stars=number_at(pull_request, "base", "repo", "stargazers_count"),
    )


def _commit(name: str) -> str:
    return name if len(name) in (40, 64) and all(digit in "0123456789abcdef" for digit in name) else ""


def _pull_request(entry: Entry, payload: dict[str, Any]) -> Entry | None:
    action = payload.get("action")
    if action not in ("opened", "reopened", "edited", "closed", "synchronize"):
        return None
    pull_request = at(payload, "pull_request")
    author = text_at(pull_request, "user", "login") if action == "opened" else ""
    return replace(
        entry,
        what=action,
        author=author or entry.author,
        title=" ".join(text_at(pull_request, "title").split()),
        text=text_at(pull_request, "body"),
        merged=at(pull_request, "merged") is True,
    )


def _comment(entry: Entry, payload: dict[str, Any]) -> Entry:
    comment = at(payload, "comment")
    return replace(entry, text=text_at(comment, "body"), event_id=number_at(comment, "id"))


def _review(entry: Entry, payload: dict[str, Any]) -> Entry:
    review = at(payload, "review")
    state = text_at(review, "state").lower()
    return replace(entry, what="review", text=text_at(review, "body"), event_id=number_at(review, "id"), state=state)


def _code_comment(entry: Entry, payload: dict[str, Any]) -> Entry:
    comment = at(payload, "comment")
    line = number_at(comment, "original_position")
    return replace(
        entry,
        what="code comment",
        text=text_at(comment, "body"),
        event_id=number_at(comment, "id"),
        review_id=number_at(comment, "pull_request_review_id"),
        reply_to=number_at(comment, "in_reply_to_id"),
        path=text_at(comment, "path"),
        line=number_at(comment, "position") if line is None else line,
        hunk=text_at(comment, "diff_hunk"),
    )
