import gzip
from pathlib import Path
from typing import Any

import pytest
from github_events import comment, event, issue, opened, write_events
from hypothesis import given
from hypothesis import strategies as st

from starloom.core.errors import InputError
from starloom.data.sources.github.comments import calls_bot, is_bot, shortened, without_mail
from starloom.data.sources.github.events import NOT_AN_EVENT
from starloom.data.sources.github.issues import BOT_THREAD, NO_ENGAGEMENT, NO_OPENING, SHORT_THREAD, Issues
from starloom.data.sources.record import DAMAGED, TOO_LARGE, ReadSettings, Record

SETTINGS = ReadSettings(buckets=3)


def read(folder: Path, *events: dict[str, Any], settings: ReadSettings = SETTINGS) -> list[Record]:
    write_events(folder / "2020-01-01-0.json.gz", list(events))
    return list(Issues(str(folder)).records(settings))


def test_the_template(tmp_path: Path) -> None:
    about = issue(body="See @bob-x and <issue_closed>." + "b" * 200, title="It  breaks\nhard")
    (record,) = read(
        tmp_path,
        opened(about),
        comment(about, "bob-x", "I, bob-x, see @ann and @outsider.", 1),
        event("IssuesEvent", "carol", 2, {"action": "closed", "issue": about}),
        comment(about, "ann", "Thanks!\r\nGood.", 3),
    )
    assert record.content is not None
    assert record.content.decode() == (
        "<issue_start>Title: It breaks hard\nusername_0: See @username_1 and < issue_closed>."
        + "b" * 200
        + "<issue_comment>username_1: I, username_1, see @username_0 and @outsider.<issue_closed>"
        "<issue_comment>username_0: Thanks!\nGood.<|endoftext|>"
    )
    assert (record.repository, record.path, record.kind) == ("own/er", "issues/7", "issue")
    assert record.date == "2020-01-01T00:00:00Z"


def test_events_come_in_any_order_in_any_file_and_may_repeat(tmp_path: Path) -> None:
    about = issue()
    events = [opened(about), comment(about, "bob", "first", 1), comment(about, "cat", "second", 2)]
    one = read(tmp_path / "one", *events)
    write_events(tmp_path / "two" / "a.json.gz", [events[2], events[0]])
    write_events(tmp_path / "two" / "b.json.gz", [events[1], events[2]])
    two = list(Issues(str(tmp_path / "two")).records(ReadSettings(buckets=1)))
    assert one == two
    assert len(one) == 1


def test_every_issue_is_one_record_and_pull_requests_are_none(tmp_path: Path) -> None:
    other = {**issue(8), "pull_request": {"url": "x"}}
    records = read(tmp_path, *(opened(issue(number)) for number in (9, 10, 11)), comment(other, "bob", "x" * 300))
    assert sorted(record.path for record in records) == ["issues/10", "issues/11", "issues/9"]


def reason_of(folder: Path, *events: dict[str, Any]) -> str | None:
    (record,) = read(folder, *events)
    return record.refused


@pytest.mark.parametrize(
    ("body", "comments", "reason"),
    [
        ("b" * 190, [], SHORT_THREAD),
        ("b" * 191, [], None),
        ("b" * 6990, [], None),
        ("b" * 6991, [], NO_ENGAGEMENT),
        ("b" * 6991, [("ANN", "me again")], NO_ENGAGEMENT),
        ("b" * 6991, [("bob", "hello")], None),
        ("b" * 6991, [("ci-bot", "hello")], NO_ENGAGEMENT),
        ("b" * 191, [("ann", f"more {number}") for number in range(9)], None),
        ("b" * 191, [("ann", f"more {number}") for number in range(10)], NO_ENGAGEMENT),
    ],
)
def test_short_issues_and_those_without_engagement(
    tmp_path: Path, body: str, comments: list[tuple[str, str]], reason: str | None
) -> None:
    about = issue(body=body)
    later = [comment(about, author, text, date) for date, (author, text) in enumerate(comments, start=1)]
    assert reason_of(tmp_path, opened(about), *later) == reason


def test_bots_their_issues_and_the_calls_to_them_are_left_out(tmp_path: Path) -> None:
    assert reason_of(tmp_path / "bot", opened(issue(author="renovate[bot]"))) == BOT_THREAD
    about = issue()
    (record,) = read(
        tmp_path / "calls",
        opened(about),
        comment(about, "bob", "/retest", 1),
        comment(about, "k8s-robot", "running", 2),
        comment(about, "bob", "thanks", 3),
        comment(about, "my-ci", "failed", 4),
        comment(about, "cat", "/cc this stays", 5),
    )
    assert record.content is not None
    texts = record.content.decode()
    assert "username_1: thanks<issue_comment>username_2: /cc this stays" in texts
    assert all(word not in texts for word in ("retest", "running", "failed"))


def test_an_issue_of_which_only_comments_are_there_is_known_from_them(tmp_path: Path) -> None:
    (record,) = read(tmp_path / "a", comment(issue(), "bob", "hello"))
    assert record.content is not None
    assert record.content.startswith(b"<issue_start>Title: It breaks\nusername_0: bbb")
    assert reason_of(tmp_path / "b", comment(issue(title=""), "bob", "hello")) == NO_OPENING


@pytest.mark.parametrize("name", ["Renovate[bot]", "SparkQA", "apache-hbase", "my-ci", "x-Service-Account", "robot", "a-test-b"])
def test_names_of_bots(name: str) -> None:
    assert is_bot(name)


@pytest.mark.parametrize("name", ["ann", "bottle", "cicero", "linter-fan", "testing"])
def test_names_of_people(name: str) -> None:
    assert not is_bot(name)


def test_calls_to_bots() -> None:
    assert calls_bot("@Bors-NG r+", "bors-ng")
    assert calls_bot("/lgtm", "k8s-ci-robot")
    assert not calls_bot("looks good", "bors-ng")


MAIL = """Thanks, that works.

On 3 May 2020, at 10:02, Bob <notifications@github.com> wrote:

> I fixed it.
>
> —
> Reply to this email directly or view it on GitHub.
________________________________________
From: Bob
Subject: [x] y

Bye"""


def test_what_mail_programs_add_goes() -> None:
    assert without_mail(MAIL).split() == ["Thanks,", "that", "works.", "Bye"]
    assert without_mail("a\n1/2/2020 10:02 AM Bob wrote\nb") == "a\nb"
    assert without_mail("fix\n\nSigned-off-by: A <a@b.c>") == "fix"
    for text in ("From: here to there", "x = a > b\nhe wrote: it", "a\n____\nb"):
        assert without_mail(text) == text


def test_long_comments_lose_their_middle() -> None:
    lines = [str(number) for number in range(81)]
    assert shortened("\n".join(lines[:80]), "[Truncated]") == "\n".join(lines[:80])
    assert shortened("\n".join(lines), "[Truncated]").split("\n") == [*lines[:60], "[Truncated]", *lines[61:]]


@pytest.mark.parametrize("unit", ["_", ">", "On ", "From: ", "1/1/1 ", "view it on github ", "\n", "wrote"])
def test_a_hostile_megabyte_is_read_in_one_pass(unit: str) -> None:
    text = unit * (2**20 // len(unit))
    assert len(without_mail(text)) <= len(text)


def test_what_is_no_event_is_counted_and_costs_nothing_else(tmp_path: Path) -> None:
    about = issue()
    bad = [b"{", b"[]", b'{"id": 1}', b"\xff\xfe", b"[" * 100_000, b'{"id":1,"type":{},"actor":{"login":2}}']
    write_events(tmp_path / "a.json.gz", [opened(about)], *bad)
    records = list(Issues(str(tmp_path)).records(SETTINGS))
    assert [record.refused for record in records] == [NOT_AN_EVENT] * len(bad) + [None]
    assert records[0].path == "a.json.gz:2"


@pytest.mark.parametrize("payload", [{}, {"issue": []}, {"issue": {"number": "x"}}, {"issue": {"number": True}}, {"issue": None}])
def test_payloads_of_other_forms_hold_no_issue(tmp_path: Path, payload: dict[str, Any]) -> None:
    assert read(tmp_path, event("IssuesEvent", "ann", 1, payload)) == []


def test_a_truncated_file_gives_what_is_before_the_damage(tmp_path: Path) -> None:
    whole = write_events(tmp_path / "a.json.gz", [opened(issue(number)) for number in range(200)]).read_bytes()
    (tmp_path / "a.json.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "b.json.gz").write_bytes(b"not gzip at all")
    records = list(Issues(str(tmp_path)).records(SETTINGS))
    assert [record.path for record in records if record.refused == DAMAGED] == ["a.json.gz", "b.json.gz"]
    assert 0 < sum(record.content is not None for record in records) < 200


def test_a_line_without_end_is_passed_over_in_bounded_memory(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.json.gz", "wb") as stream:
        for _ in range(70):
            stream.write(bytes(2**20))
        stream.write(b"\n")
    (record,) = Issues(str(tmp_path)).records(SETTINGS)
    assert (record.refused, record.size) == (TOO_LARGE, 70 * 2**20 + 1)


def test_no_events_at_all_is_an_error(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "absent"):
        with pytest.raises(InputError, match="there is no file ending in"):
            list(Issues(str(place)).records(SETTINGS))


@given(text=st.text(), title=st.text(min_size=1))
def test_any_text_gives_a_document_with_the_templates_marks_only(
    tmp_path_factory: pytest.TempPathFactory, text: str, title: str
) -> None:
    about = issue(body="x" * 200 + text, title="t" + title)
    (record,) = read(tmp_path_factory.mktemp("issue"), opened(about), comment(about, "bob", "y" + text))
    assert record.content is not None
    assert record.content.decode().count("<issue_comment>") == 1
