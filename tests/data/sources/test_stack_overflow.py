import bz2
import html
from pathlib import Path

import pyarrow as pa
import pytest

from starloom.core.errors import InputError
from starloom.data.sources.record import DAMAGED, ReadSettings, Record
from starloom.data.sources.rendering import split
from starloom.data.sources.stack_overflow import FEW_ANSWERS, LOW_RATING, NO_QUESTION, NOT_A_POST, StackOverflow

SETTINGS = ReadSettings(buckets=3)


def row(number: int, kind: int, body: str, **more: object) -> str:
    values = {"Id": number, "PostTypeId": kind, "Body": body, "CreationDate": "2019-01-02T03:04:05.678"} | more
    return "  <row " + " ".join(f'{name}="{html.escape(str(value))}"' for name, value in values.items()) + " />\n"


def question(number: int = 1, **more: object) -> str:
    return row(number, 1, "<p>How do I <code>x &lt; y</code>?</p>", **{"OwnerUserId": 7, "Title": "Not shown"} | more)


def answer(number: int, parent: int = 1, **more: object) -> str:
    return row(
        number,
        2,
        f"<p>Answer {number} &lt;issue_closed&gt;</p>",
        **{"ParentId": parent, "Score": number, "OwnerUserId": 9} | more,
    )


def write(path: Path, *rows: str) -> Path:
    path.write_text('<?xml version="1.0" encoding="utf-8"?>\n<posts>\n' + "".join(rows) + "</posts>\n")
    return path


def read(path: Path, settings: ReadSettings = SETTINGS) -> list[Record]:
    return list(StackOverflow(str(path)).records(settings))


def test_the_template(tmp_path: Path) -> None:
    rows = [question(AcceptedAnswerId=3), answer(2, Score=-1), answer(3, OwnerUserId=7), answer(4, ContentLicense="CC BY-SA 3.0")]
    (record,) = read(write(tmp_path / "Posts.xml", *rows))
    assert record.content is not None
    parts = split(record.content.decode())
    assert parts[:3] == ["", "<issue_start>", "username_0: How do I `x < y`?"]
    assert parts[-2:] == ["<|endoftext|>", ""]
    assert sorted(parts[4:-2:2]) == [
        "username_0: Answer 3 < issue_closed>\nUpvotes: 3 selected answer",
        "username_1: Answer 2 < issue_closed>\nUpvotes: -1",
        "username_1: Answer 4 < issue_closed>\nUpvotes: 4",
    ]
    assert (record.repository, record.path, record.date) == ("stackoverflow.com", "questions/1", "2019-01-02T03:04:05Z")
    assert record.licence == "CC-BY-SA-3.0 AND CC-BY-SA-4.0"


def test_answers_are_shuffled_by_the_seed(tmp_path: Path) -> None:
    path = write(tmp_path / "Posts.xml", question(), *(answer(number) for number in range(2, 12)))
    documents = {read(path, ReadSettings(seed=seed))[0].content for seed in (0, 0, 1, 2)}
    assert len(documents) == 3


def test_questions_need_three_answers_and_answers_a_question(tmp_path: Path) -> None:
    rows = [question(1), answer(2), answer(3), answer(3), answer(9, parent=8), row(10, 5, "wiki"), question(1)]
    records = {record.path: record for record in read(write(tmp_path / "Posts.xml", *rows))}
    assert {path: record.refused for path, record in records.items()} == {
        "questions/1": FEW_ANSWERS,
        "questions/8": NO_QUESTION,
    }


def test_compressed_dumps_and_folders_of_dumps(tmp_path: Path) -> None:
    rows = [question(), answer(2), answer(3), answer(4)]
    plain = write(tmp_path / "Posts.xml", *rows)
    expected = read(plain)
    (tmp_path / "Users.xml").write_text("<users><row Id='1' PostTypeId='1' DisplayName='Nobody here'/></users>")
    assert read(tmp_path) == expected
    for name, data in (("bz2", bz2.compress(plain.read_bytes())), ("zst", pa.compress(plain.read_bytes(), "zstd", asbytes=True))):
        path = tmp_path / name / f"Posts.xml.{name}"
        path.parent.mkdir()
        path.write_bytes(data)
        assert read(path) == expected


def test_names_of_authors_are_replaced_in_texts(tmp_path: Path) -> None:
    texts = ["<p>As Jane Doe says, not Max Outside</p>", "<p>@Pete_r is right</p>", "<p>Pete_r</p>"]
    rows = [question(OwnerUserId=7), *(answer(i + 2, Body=text, OwnerUserId=8 + i % 2) for i, text in enumerate(texts))]
    write(tmp_path / "Posts.xml", *rows)
    users = {7: "Jane Doe", 8: "Pete_r", 9: "", 10: "Max Outside"}
    lines = [f'<row Id="{number}" DisplayName="{name}"/>' for number, name in users.items()]
    (tmp_path / "Users.xml").write_text("<users>" + "".join([*lines, "<row Id='x'/>"]) + "</users>")
    problem, record = read(tmp_path)
    assert (problem.refused, problem.path) == (NOT_A_POST, "Users.xml:row x")
    assert record.content is not None
    text = record.content.decode()
    assert "Jane" not in text
    assert "Pete_r" not in text
    assert "As username_0 says, not Max Outside" in text
    assert "@username_" in text


def test_questions_with_low_ratings_are_refused(tmp_path: Path) -> None:
    rows = [row for number in (1, 2, 3) for row in (question(number), *(answer(10 * number + i, number) for i in range(3)))]
    path, ratings = write(tmp_path / "Posts.xml", *rows), tmp_path / "ratings.txt"
    ratings.write_text("1 0.0\n1 0.3\n2,0.09\n")
    records = StackOverflow(str(path), ratings=ratings).records(SETTINGS)
    assert {record.path: (record.refused, record.detail) for record in records} == {
        "questions/1": (None, ""),
        "questions/2": (LOW_RATING, "0.090"),
        "questions/3": (LOW_RATING, "none"),
    }
    ratings.write_text("1 0.0\n2\n")
    with pytest.raises(InputError, match="line 2"):
        list(StackOverflow(str(path), ratings=ratings).records(SETTINGS))


@pytest.mark.parametrize("rating", ["1 nan", "1 inf", "-1 0.5", "1_0 0.5", "1", "one 0.5", ""])
def test_a_line_that_is_no_rating_is_named(tmp_path: Path, rating: str) -> None:
    path, ratings = write(tmp_path / "Posts.xml", question()), tmp_path / "ratings.txt"
    ratings.write_text(f"7 0.5\n{rating}\n")
    with pytest.raises(InputError, match=r"ratings '.*', line 2, is not the number of a question and its rating"):
        list(StackOverflow(str(path), ratings=ratings).records(SETTINGS))


def test_a_question_without_a_rating_is_refused_whatever_the_least_rating(tmp_path: Path) -> None:
    path, ratings = write(tmp_path / "Posts.xml", question(), answer(2), answer(3), answer(4)), tmp_path / "ratings.txt"
    ratings.write_text("7 0.5\n")
    (record,) = StackOverflow(str(path), ratings=ratings, min_rating=-2).records(SETTINGS)
    assert (record.refused, record.detail) == (LOW_RATING, "none")


def test_a_dump_without_posts_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no Posts\.xml at"):
        read(write(tmp_path / "questions.xml", question(), answer(2), answer(3), answer(4)))


BOMB = """<?xml version="1.0"?><!DOCTYPE p [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><posts>
<row Id="1" PostTypeId="1" Body="&b;"/></posts>"""


@pytest.mark.parametrize("text", [BOMB, '<!DOCTYPE p SYSTEM "file:///etc/passwd"><posts/>'])
def test_entity_bombs_and_outside_entities_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "Posts.xml").write_text(text)
    with pytest.raises(InputError, match="declares a document type or entities"):
        read(tmp_path / "Posts.xml")


def test_a_row_without_end_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    with (tmp_path / "Posts.xml").open("w") as stream:
        stream.write('<posts><row Id="1" PostTypeId="1" Body="')
        for _ in range(8):
            stream.write("x" * 2**20)
    with pytest.raises(InputError, match="without a row"):
        read(tmp_path / "Posts.xml")


@pytest.mark.parametrize("damage", ["cut", "broken", "NUL", "bytes"])
def test_a_damaged_dump_gives_what_is_before_the_damage(tmp_path: Path, damage: str) -> None:
    path = write(tmp_path / "Posts.xml", question(), answer(2), answer(3), answer(4), "MARK", answer(5))
    data = path.read_bytes()
    before, after = data.split(b"MARK")
    middle = {"cut": b"<row ", "broken": b"<a></b>", "NUL": b"\0", "bytes": b"\xff"}[damage]
    path.write_bytes(before + middle + (b"" if damage == "cut" else after))
    problem, record = read(path)
    assert (problem.refused, problem.path) == (DAMAGED, "Posts.xml:7")
    assert record.content is not None
    assert b"Answer 4" in record.content
    assert b"Answer 5" not in record.content


def test_rows_that_are_no_posts_are_counted(tmp_path: Path) -> None:
    rows = [row(1, 2, "no parent"), "<row/>", '<row Id="x" PostTypeId="1"/>', '<row Id="٣" PostTypeId="1"/>', "<other Id='1'/>"]
    records = read(write(tmp_path / "Posts.xml", *rows))
    assert [record.refused for record in records] == [NOT_A_POST] * 4


def test_a_least_rating_without_ratings_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "Posts.xml", question(), answer(2), answer(3), answer(4))
    with pytest.raises(InputError, match=r"min_rating=0.5 says nothing without ratings"):
        list(StackOverflow(str(path), min_rating=0.5).records(SETTINGS))
