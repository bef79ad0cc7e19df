"""Questions of a Stack Exchange dump (`Posts.xml`) with their answers (specification §4.9).

    <issue_start>username_0: question<issue_comment>username_1: answer
    Upvotes: 3 selected answer<issue_comment>...<|endoftext|>

Of the published rules this applies those that need no model: three answers or more. The rated filter would need what it was
trained on: 20,000 questions and answers rated by Llama 2 70B and a MiniLM model fitted to the ratings. Names of people come
from `Users.xml`, which is not read: authors are numbered by their ids, mentions of names in texts stay. The licence of the
texts is CC BY-SA, a copyleft licence, and each record says so.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.parsers import expat

from starloom.core.errors import InputError
from starloom.data.sources.compressed import decompressed
from starloom.data.sources.github.events import Problem
from starloom.data.sources.html_text import html_text
from starloom.data.sources.places import open_files
from starloom.data.sources.record import DAMAGED, TOO_LARGE, ReadSettings, Record
from starloom.data.sources.rendering import Rendering
from starloom.data.sources.spill import Groups
from starloom.redaction import pseudonyms

FEW_ANSWERS = "fewer than three answers"
NO_QUESTION = "answers without their question"
NOT_A_POST = "not a post"

ANSWERS = 3

_CHUNK = 2**16
_ROW_BYTES = 4 * 2**20  # a post holds at most 30,000 characters
_LICENCE = re.compile(r"CC BY-SA (\d\.\d)")
_QUESTION, _ANSWER = "1", "2"
_KEPT = ("Id", "PostTypeId", "ParentId", "AcceptedAnswerId", "Score", "Body", "OwnerUserId", "CreationDate", "ContentLicense")


@dataclass(frozen=True)
class StackOverflow:
    """The questions of the dump at `path`: `Posts.xml`, plain or compressed (.gz, .bz2, .xz, .zst), or its folder."""

    path: str
    site: str = "stackoverflow.com"

    def records(self, settings: ReadSettings) -> Iterator[Record]:
        """One record a question, and one for each row that is none. Raises `InputError`, also for a file with entities."""
        with Groups(settings) as groups:
            for post in _posts(self.path):
                if isinstance(post, Problem):
                    yield post.record()
                elif post["PostTypeId"] in (_QUESTION, _ANSWER):
                    groups.add(_question(post), post)
            for key, posts in groups:
                yield _record(self.site, key, posts, settings)


def _question(post: dict[str, str]) -> str:
    return f"{int(post['Id' if post['PostTypeId'] == _QUESTION else 'ParentId']):012d}"


def _posts(url: str) -> Iterator[dict[str, str] | Problem]:
    endings = tuple(f".xml{packed}" for packed in ("", ".gz", ".bz2", ".xz", ".zst"))
    for stream, name in open_files(url, endings):
        if "posts" in name.lower():
            yield from _Rows(name).read(decompressed(stream, name))


class _Rows:
    """Reads `<row .../>` elements as they come; nothing of the document is kept."""

    def __init__(self, name: str) -> None:
        self._name = name
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
            if _is_post(row):
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


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 12


def _record(site: str, key: str, posts: list[dict[str, str]], settings: ReadSettings) -> Record:
    once = {post["Id"]: post for post in sorted(posts, key=lambda post: int(post["Id"]))}
    question = next((post for post in once.values() if post["PostTypeId"] == _QUESTION), None)
    answers = [post for post in once.values() if post["PostTypeId"] == _ANSWER]
    size = sum(len(post.get("Body", "").encode("utf-8", "replace")) for post in once.values())
    first = question or answers[0]
    reason = NO_QUESTION if question is None else FEW_ANSWERS if len(answers) < ANSWERS else None
    content = None
    if question is not None and reason is None:
        random.Random(f"{settings.seed}/question/{key}").shuffle(answers)
        content = _render(question, answers)
        if len(content) > settings.max_file_bytes:
            content, reason = None, TOO_LARGE
    licences = sorted({_licence(post) for post in once.values()})
    path = f"questions/{int(key)}"
    date = first.get("CreationDate", "")[:19] + "Z"
    return Record(site, path, "question", content, size, date=date, licence=" AND ".join(licences), refused=reason)


def _render(question: dict[str, str], answers: list[dict[str, str]]) -> bytes:
    names = pseudonyms(_author(post) for post in (question, *answers))
    document = Rendering().mark("<issue_start>").text(names[_author(question)], ": ", html_text(question.get("Body", "")))
    for answer in answers:
        votes = answer.get("Score", "0")
        selected = " selected answer" if answer["Id"] == question.get("AcceptedAnswerId") else ""
        document.mark("<issue_comment>").text(names[_author(answer)], ": ", html_text(answer.get("Body", "")))
        document.text(f"\nUpvotes: {votes}{selected}")
    return document.to_bytes()


def _author(post: dict[str, str]) -> str:
    return f"user {post['OwnerUserId']}" if "OwnerUserId" in post else f"post {post['Id']}"


def _licence(post: dict[str, str]) -> str:
    """The post's own word; else what the site's terms were on its day."""
    stated = _LICENCE.fullmatch(post.get("ContentLicense", ""))
    date = post.get("CreationDate", "")
    version = stated[1] if stated else "4.0" if date >= "2018-05-02" else "3.0" if date >= "2011-04-08" else "2.5"
    return f"CC-BY-SA-{version}"
