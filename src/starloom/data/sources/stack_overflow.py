"""Questions of a Stack Exchange dump (`Posts.xml`) with their answers (specification §4.9).

    <issue_start>username_0: question<issue_comment>username_1: answer
    Upvotes: 3 selected answer<issue_comment>...<|endoftext|>

Questions have three answers or more and, where `ratings` are given, a mean rating of 0.1 or more. The published ratings are the
cosines of a MiniLM model fitted to 20,000 pairs that Llama 2 70B had rated; neither is public, so whoever has a model brings its
ratings. Authors are numbered by their ids; the names that `Users.xml` beside the posts has for them are replaced in the texts.
The licence of the texts is CC BY-SA, a copyleft licence, and each record says so.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import Any
from xml.parsers import expat

from starloom.core.errors import InputError
from starloom.data.sources.compressed import decompressed
from starloom.data.sources.github.comments import without_names
from starloom.data.sources.github.events import Problem
from starloom.data.sources.html_text import html_text
from starloom.data.sources.places import files_at, open_files
from starloom.data.sources.record import DAMAGED, TOO_LARGE, ReadSettings, Record
from starloom.data.sources.rendering import Rendering
from starloom.data.sources.spill import Groups
from starloom.redaction import pseudonyms

FEW_ANSWERS = "fewer than three answers"
NO_QUESTION = "answers without their question"
NOT_A_POST = "not a post"
LOW_RATING = "rating of the question"

ANSWERS = 3
MIN_RATING = 0.1

_CHUNK = 2**16
_ROW_BYTES = 4 * 2**20  # a post holds at most 30,000 characters
_LICENCE = re.compile(r"CC BY-SA (\d\.\d)")
_QUESTION, _ANSWER, _NAME, _RATING = "1", "2", "name", "rating"
_ENDINGS = (".xml", ".xml.gz", ".xml.bz2", ".xml.xz", ".xml.zst")
_KEPT = (
    "Id",
    "PostTypeId",
    "ParentId",
    "AcceptedAnswerId",
    "Score",
    "Body",
    "OwnerUserId",
    "CreationDate",
    "ContentLicense",
    "DisplayName",
)


@dataclass(frozen=True)
class StackOverflow:
    """The questions of the dump at `path`: `Posts.xml`, plain or packed (.gz, .bz2, .xz, .zst), or its folder with `Users.xml`.

    `ratings` is a file with the id of a question and the rating of one of its answers, or their mean, a line (`11227809 0.62`);
    questions with a mean below `min_rating` or without any are refused.
    """

    path: str
    site: str = "stackoverflow.com"
    ratings: Path | None = None
    min_rating: float = MIN_RATING

    def records(self, settings: ReadSettings) -> Iterator[Record]:
        """One record a question, and one for each row that is none. Raises `InputError`, also for a file with entities."""
        if self.ratings is None and self.min_rating != MIN_RATING:
            raise InputError(f"min_rating={self.min_rating} says nothing without ratings: name their file as 'ratings'")
        if not any(_holds(place.name, "posts") for place in files_at(self.path, _ENDINGS)):
            raise InputError(f"there is no Posts.xml at '{self.path}': a file or folder of a dump has 'posts' in its name")
        with Groups(settings) as groups, Groups(settings) as authors:
            for row in _rows(self.path, "posts", _is_post):
                if isinstance(row, Problem):
                    yield row.record()
                elif row["PostTypeId"] in (_QUESTION, _ANSWER):
                    groups.add(_question(row), row)
                    if "OwnerUserId" in row:
                        authors.add(row["OwnerUserId"], _question(row))
            yield from self._name(authors, groups)
            for question, rating in _ratings(self.ratings) if self.ratings is not None else ():
                groups.add(question, {"PostTypeId": _RATING, "Rating": rating})
            for key, rows in groups:
                if any(row["PostTypeId"] in (_QUESTION, _ANSWER) for row in rows):
                    yield self._rated(_record(self.site, key, rows, settings), rows)

    def _name(self, authors: Groups, groups: Groups) -> Iterator[Record]:
        """Add to each question the names of the users who wrote there."""
        for row in _rows(self.path, "users", _is_user):
            if isinstance(row, Problem):
                yield row.record()
            else:
                authors.add(row["Id"], {"PostTypeId": _NAME, "OwnerUserId": row["Id"], "DisplayName": row["DisplayName"]})
        for _, values in authors:
            for name in (value for value in values if isinstance(value, dict)):
                for question in sorted({value for value in values if isinstance(value, str)}):
                    groups.add(question, name)

    def _rated(self, record: Record, rows: list[dict[str, Any]]) -> Record:
        """The record, refused when its ratings are asked for and too low."""
        ratings = [row["Rating"] for row in rows if row["PostTypeId"] == _RATING]
        if self.ratings is None or record.content is None or (ratings and fmean(ratings) >= self.min_rating):
            return record
        return replace(record, content=None, refused=LOW_RATING, detail=f"{fmean(ratings):.3f}" if ratings else "none")


def _ratings(path: Path) -> Iterator[tuple[str, float]]:
    """The key of a question (as `_question` has it) and a rating, line by line."""
    number = 0
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                number += 1
                question, rating = line.replace(",", " ").split()
                if not _is_number(question) or not isfinite(float(rating)):
                    raise ValueError
                yield _key(question), float(rating)
    except OSError as error:
        raise InputError(f"ratings '{path}' cannot be read: {error}") from error
    except ValueError as error:
        raise InputError(f"ratings '{path}', line {number}, is not the number of a question and its rating") from error


def _question(post: dict[str, str]) -> str:
    return _key(post["Id" if post["PostTypeId"] == _QUESTION else "ParentId"])


def _key(question: str) -> str:
    return f"{int(question):012d}"


def _rows(url: str, table: str, is_row: Callable[[dict[str, str]], bool]) -> Iterator[dict[str, str] | Problem]:
    """The rows of the files of `url` that have `table` in their names."""
    for stream, name in open_files(url, _ENDINGS):
        if _holds(name, table):
            yield from _Rows(name, is_row).read(decompressed(stream, name))


def _holds(name: str, table: str) -> bool:
    return table in name.lower()


class _Rows:
    """Reads `<row .../>` elements as they come; nothing of the document is kept."""

    def __init__(self, name: str, is_row: Callable[[dict[str, str]], bool]) -> None:
        self._name, self._is_row = name, is_row
        self._found: list[dict[str, str]] = []
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._element
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.EntityDeclHandler = self._refuse

    def read(self, stream: Any) -> Iterator[dict[str, str] | Problem]:
        pending = 0
        try:
            while chunk := stream.read(_CHUNK):
                self._parser.Parse(chunk, False)
                pending = 0 if self._found else pending + len(chunk)
                if pending > _ROW_BYTES:
                    raise InputError(f"'{self._name}' is refused: more than {_ROW_BYTES:,} bytes without a row")
                yield from self._rows()
            self._parser.Parse(b"", True)
        except (expat.ExpatError, EOFError, OSError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            yield from self._rows()
            yield Problem(f"{self._name}:{self._parser.CurrentLineNumber}", DAMAGED, 0, str(error))

    def _rows(self) -> Iterator[dict[str, str] | Problem]:
        for row in self._found:
            if self._is_row(row):
                yield row
            else:
                size = sum(map(len, row.values()))
                yield Problem(f"{self._name}:row {row.get('Id', '?')[:20]}", NOT_A_POST, size)
        self._found = []

    def _element(self, name: str, attributes: dict[str, str]) -> None:
        if name == "row":
            self._found.append({key: attributes[key] for key in _KEPT if key in attributes})

    def _refuse(self, *_: object) -> None:
        raise InputError(f"'{self._name}' is refused: it declares a document type or entities, which no dump does")


def _is_post(row: dict[str, str]) -> bool:
    kind = row.get("PostTypeId", "")
    names = ("Id", "ParentId") if kind == _ANSWER else ("Id",)
    return bool(kind) and all(_is_number(row.get(name, "")) for name in names)


def _is_user(row: dict[str, str]) -> bool:
    return row.get("Id", "").lstrip("-").isdecimal() and "DisplayName" in row


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 12


def _record(site: str, key: str, rows: list[dict[str, str]], settings: ReadSettings) -> Record:
    """The record of a question from its posts and the names of their authors, which may mention each other."""
    names = {row["DisplayName"]: _author(row) for row in rows if row["PostTypeId"] == _NAME}
    posts = [row for row in rows if row["PostTypeId"] in (_QUESTION, _ANSWER)]
    once = {post["Id"]: post for post in sorted(posts, key=lambda post: int(post["Id"]))}
    question = next((post for post in once.values() if post["PostTypeId"] == _QUESTION), None)
    answers = [post for post in once.values() if post["PostTypeId"] == _ANSWER]
    size = sum(len(post.get("Body", "").encode("utf-8", "replace")) for post in once.values())
    first = question or answers[0]
    reason = NO_QUESTION if question is None else FEW_ANSWERS if len(answers) < ANSWERS else None
    content = None
    if question is not None and reason is None:
        random.Random(f"{settings.seed}/question/{key}").shuffle(answers)
        content = _render(question, answers, names)
        if len(content) > settings.max_file_bytes:
            content, reason = None, TOO_LARGE
    licences = sorted({_licence(post) for post in once.values()})
    path = f"questions/{int(key)}"
    date = first.get("CreationDate", "")[:19] + "Z"
    return Record(site, path, "question", content, size, date=date, licence=" AND ".join(licences), refused=reason)


def _render(question: dict[str, str], answers: list[dict[str, str]], names: dict[str, str]) -> bytes:
    """`names`: the author (as `_author` has it) by the name that texts may mention."""
    numbered = pseudonyms(_author(post) for post in (question, *answers))
    mentions = {name: numbered[author] for name, author in names.items() if name and author in numbered}
    document = Rendering().mark("<issue_start>").text(numbered[_author(question)], ": ", _body(question, mentions))
    for answer in answers:
        votes = answer.get("Score", "0")
        selected = " selected answer" if answer["Id"] == question.get("AcceptedAnswerId") else ""
        document.mark("<issue_comment>").text(numbered[_author(answer)], ": ", _body(answer, mentions))
        document.text(f"\nUpvotes: {votes}{selected}")
    return document.to_bytes()


def _body(post: dict[str, str], mentions: dict[str, str]) -> str:
    return without_names(html_text(post.get("Body", "")), mentions)


def _author(post: dict[str, str]) -> str:
    return f"user {post['OwnerUserId']}" if "OwnerUserId" in post else f"post {post['Id']}"


def _licence(post: dict[str, str]) -> str:
    """The post's own word; else what the site's terms were on its day."""
    stated = _LICENCE.fullmatch(post.get("ContentLicense", ""))
    date = post.get("CreationDate", "")
    version = stated[1] if stated else "4.0" if date >= "2018-05-02" else "3.0" if date >= "2011-04-08" else "2.5"
    return f"CC-BY-SA-{version}"
