from pathlib import Path
from typing import Any

import pytest
from github_events import comment, event, issue, write_events
from source_samples import git, write_folder

from starloom.data.sources.github.events import NOT_AN_EVENT
from starloom.data.sources.github.pull_request_template import DESCRIPTION, TITLE
from starloom.data.sources.github.pull_requests import (
    BASE_CHANGED,
    BOT_OPENED,
    NO_DIFF,
    NO_OPENING,
    NO_PERSON,
    NOT_ACCEPTED,
    NOT_SAMPLED,
    WRONG_LENGTH,
    PullRequests,
    _share,
)
from starloom.data.sources.record import ReadSettings, Record
from starloom.data.sources.rendering import split

SETTINGS = ReadSettings(buckets=2)
CODE = "".join(f"value_{number} = {number}\n" for number in range(100))


@pytest.fixture
def repositories(tmp_path: Path) -> tuple[Path, str, str, str]:
    """A folder with the repository own/er, its base and two heads."""
    folder = write_folder(tmp_path / "git" / "own" / "er", {"a.py": CODE.encode(), "gone.py": b"x = 1\n", "data.bin": b"\0\1"})
    git(folder, "init")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "base")
    commits = [git(folder, "rev-parse", "HEAD")]
    for value in ("fifty", "'<pr>'"):
        write_folder(folder, {"a.py": CODE.replace("value_50 = 50", f"value_50 = {value}").encode(), "new.py": b"y = 1\n"})
        write_folder(folder, {"data.bin": b"\0" + value.encode()})
        (folder / "gone.py").unlink(missing_ok=True)
        git(folder, "add", "-A")
        git(folder, "commit", "-m", "head")
        commits.append(git(folder, "rev-parse", "HEAD"))
    return tmp_path / "git", commits[0], commits[1], commits[2]


def pull(base: str, head: str, **changed: Any) -> dict[str, Any]:
    return {
        "number": 5,
        "title": "Make value_50 a word",
        "body": "It reads better that way, says @bob.<!-- template -->",
        "merged": False,
        "user": {"login": "ann"},
        "base": {"sha": base, "repo": {"license": {"spdx_id": "MIT"}, "stargazers_count": 12}},
        "head": {"sha": head},
    } | changed


def thread(base: str, head: str, second: str) -> list[dict[str, Any]]:
    about = {"number": 5, "title": "t", "user": {"login": "ann"}, "pull_request": {"url": "x"}}
    review = {"id": 31, "body": "", "state": "changes_requested", "user": {"login": "bob"}}
    remark = {"id": 32, "body": "why?", "path": "a.py", "original_position": 4, "diff_hunk": "@@ -1 +1 @@\n-a\n+b"}
    return [
        event("PullRequestEvent", "ann", 0, {"action": "opened", "number": 5, "pull_request": pull(base, head)}),
        comment(about, "bob", "Could you explain this, @ann and @eve?", 1),
        comment(about, "bob", "too short", 2),
        comment(about, "codecov-io", "Coverage is 99 percent now.", 3),
        event("PullRequestReviewEvent", "bob", 4, {"action": "created", "review": review, "pull_request": pull(base, head)}),
        event(
            "PullRequestReviewCommentEvent",
            "bob",
            5,
            {
                "action": "created",
                "comment": {**remark, "pull_request_review_id": 31, "in_reply_to_id": 30},
                "pull_request": pull(base, head),
            },
        ),
        event(
            "PullRequestReviewEvent",
            "bob",
            6,
            {"action": "created", "review": {**review, "id": 33, "state": "approved"}, "pull_request": pull(base, second)},
        ),
        event("PullRequestEvent", "bob", 7, {"action": "closed", "number": 5, "pull_request": pull(base, second, merged=True)}),
    ]


def read(folder: Path, events: list[dict[str, Any]], **options: Any) -> list[Record]:
    write_events(folder / "events" / "a.json.gz", events)
    options = {"sample": False} | options
    return list(PullRequests(str(folder / "events"), folder / "git", **options).records(SETTINGS))


def test_the_template_token_for_token(tmp_path: Path, repositories: tuple[Path, str, str, str]) -> None:
    _, base, head, second = repositories
    (record,) = read(tmp_path, thread(base, head, second))
    assert record.content is not None, (record.refused, record.detail)
    parts = split(record.content.decode())
    assert parts[0] == ""
    shown = [(mark, text) for mark, text in zip(parts[1::2], parts[2::2], strict=True)]
    code, hunk, new_hunk = shown[5][1], shown[8][1], shown[23][1]
    assert "value_50 = 50" in code
    assert code in CODE
    assert "\n-value_50 = 50\n+value_50 = fifty\n" in hunk
    assert "\n-value_50 = 50\n+value_50 = '< pr>'\n" in new_hunk
    assert shown == [
        ("<pr>", "Title: Make value_50 a word\nusername_0: It reads better that way, says @username_1."),
        ("<pr_status>", "opened"),
        ("<repo_name>", "own/er"),
        ("<pr_base>", ""),
        ("<pr_file>", "a.py"),
        ("<pr_base_code>", code),
        ("<pr_diff>", ""),
        ("<pr_file>", "a.py"),
        ("<pr_diff_hunk>", hunk),
        ("<pr_comment>", "username_1: Could you explain this, @username_0 and @eve?"),
        ("<pr_event_id>", "1001"),
        ("<pr_review>", "username_1\n"),
        ("<pr_event_id>", "31"),
        ("<pr_review_state>", "changes_required"),
        ("<pr_review_comment>", ""),
        ("<pr_event_id>", "32"),
        ("<pr_in_reply_to_review_id>", "31"),
        ("<pr_in_reply_to_comment_id>", "30"),
        ("<pr_file>", "a.py"),
        ("<pr_diff_hunk_comment_line>", "4"),
        ("<pr_diff_hunk>", "@@ -1 +1 @@\n-a\n+b"),
        ("<pr_comment>", "username_1: why?"),
        ("<pr_file>", "a.py"),
        ("<pr_diff_hunk>", new_hunk),
        ("<pr_review>", "username_1\n"),
        ("<pr_event_id>", "33"),
        ("<pr_review_state>", "approved"),
        ("<pr>", "username_1"),
        ("<pr_status>", "closed"),
        ("<pr_is_merged>", "True"),
        ("<|endoftext|>", ""),
    ]
    assert (record.repository, record.path, record.licence, record.stars) == ("own/er", "pull/5", "MIT", 12)
    assert record.revision == second


def changed(events: list[dict[str, Any]], place: int, **values: Any) -> list[dict[str, Any]]:
    payload = events[place]["payload"]
    pull_request = payload["pull_request"] | values
    return [*events[:place], events[place] | {"payload": payload | {"pull_request": pull_request}}, *events[place + 1 :]]


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda events: events[1:], NO_OPENING),
        (lambda events: changed(events, 0, user={"login": "dependabot[bot]"}), BOT_OPENED),
        (lambda events: [events[0], events[3], events[7]], NO_PERSON),
        (lambda events: events[:6], NOT_ACCEPTED),
        (lambda events: changed(changed(events, 4, base={"sha": "1" * 40}), 5, base={"sha": "2" * 40}), BASE_CHANGED),
        (lambda events: changed(events, 0, title="Too short"), TITLE),
        (lambda events: changed(events, 0, title="Bump the dependency of it"), TITLE),
        (lambda events: changed(events, 0, title="Prepare RELEASE 2.0"), TITLE),
        (lambda events: changed(events, 0, body="short text"), DESCRIPTION),
        (lambda events: changed(events, 0, body="Found by Qwiet, which is a tool"), DESCRIPTION),
        (lambda events: changed(events, 0, body="<!--" + "x" * 100 + "-->"), DESCRIPTION),
        (lambda events: changed(events, 0, head={"sha": "3" * 40}), NO_DIFF),
        (lambda events: [{**value, "repo": {"name": "other/repository"}} for value in events], NO_DIFF),
        (lambda events: [{**value, "repo": {"name": "../git/own/er"}} for value in events], NO_DIFF),
    ],
)
def test_filters(tmp_path: Path, repositories: tuple[Path, str, str, str], edit: Any, reason: str) -> None:
    _, base, head, second = repositories
    (record,) = read(tmp_path, edit(thread(base, head, second)))
    assert record.refused == reason


def test_a_long_document_is_refused(tmp_path: Path, repositories: tuple[Path, str, str, str]) -> None:
    _, base, head, second = repositories
    (record,) = read(tmp_path, thread(base, head, second), max_characters=300)
    assert record.refused == WRONG_LENGTH


def test_texts_are_shortened_and_reports_left_out(tmp_path: Path, repositories: tuple[Path, str, str, str]) -> None:
    _, base, head, second = repositories
    events = changed(thread(base, head, second), 0, body="\n".join(f"line {number}" for number in range(100)))
    events[1]["payload"]["comment"]["body"] = "word " * 400
    events[2]["payload"]["comment"]["body"] = "See the [Codecov] report of this change"
    events[5]["payload"]["comment"]["diff_hunk"] = "@@ -1 +1 @@\n" + "x" * 10_000
    (record,) = read(tmp_path, events)
    assert record.content is not None
    parts = split(record.content.decode())
    assert "line 59\n[TRUNCATED]\nline 80" in parts[2]
    comments = [text for mark, text in zip(parts[1::2], parts[2::2], strict=True) if mark == "<pr_comment>"]
    assert comments[0] == "username_1: " + ("word " * 400)[:1000]
    assert len(comments) == 2
    assert "x" * 100 not in record.content.decode()


def test_a_lost_object_costs_the_document_and_nothing_else(tmp_path: Path, repositories: tuple[Path, str, str, str]) -> None:
    folder, base, head, second = repositories
    lost = git(folder / "own/er", "rev-parse", f"{head}:a.py")
    (folder / "own/er/.git/objects" / lost[:2] / lost[2:]).unlink()
    events = thread(base, head, second)
    events.append({"bad": 1})
    records = read(tmp_path, events)
    assert [record.refused for record in records] == [NOT_AN_EVENT, NO_DIFF]


def test_sampling_by_the_number_of_pull_requests(tmp_path: Path) -> None:
    assert (round(_share(1), 4), round(_share(1000), 4), _share(2000)) == (0.8, 0.1007, 0.05)
    events = []
    for number in range(200):
        for value in thread("1" * 40, "2" * 40, "2" * 40):
            value["payload"] |= {"number": number}
            for name in ("pull_request", "issue"):
                if name in value["payload"]:
                    value["payload"][name] = value["payload"][name] | {"number": number}
            events.append(value)
    records = read(tmp_path, events, sample=True)
    assert len(records) == 200
    assert 45 <= sum(record.refused == NOT_SAMPLED for record in records) <= 95
    assert records == read(tmp_path, events[::-1], sample=True)


def test_issues_are_no_pull_requests(tmp_path: Path) -> None:
    assert read(tmp_path, [comment(issue(), "bob", "hello")]) == []
