"""Lists of what its owners do not want in a data set: repositories, owners, single files by their hash.

    # a comment; blank lines are nothing
    repository octocat/hello-world      # all of it; a package by its name alone
    owner octocat                       # every repository of a user or organisation
    file sha256:9f86d081884c7d65...     # or sha1: (Software Heritage's blob_id), git: (a git blob, its content_id)

Names are compared without case. Knows how entries are written and matched, nothing of tables (see `purge`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from starloom.core.errors import FormatError, InputError

OPTED_OUT = "opted out"

HASHES = {"sha256": 64, "sha1": 40, "git": 40}
"""The kinds of hashes and their hexadecimal digits."""

_REPOSITORY = re.compile(r"(?:https?://[^/\s]+/)?([\w.~+@-]+(?:/[\w.~+@-]+)*)")
_OWNER = re.compile(r"(?:https?://[^/\s]+/|@)?([\w.~+-]+)")
_EXAMPLES = "'repository OWNER/NAME', 'owner NAME' or 'file sha256:HEX'"


@dataclass(frozen=True)
class OptOut:
    """What must go. Repositories and owners in lower case, files as `KIND:HEX` in lower case."""

    repositories: frozenset[str] = field(default=frozenset())
    owners: frozenset[str] = field(default=frozenset())
    files: frozenset[str] = field(default=frozenset())

    @classmethod
    def read(cls, paths: Iterable[Path]) -> OptOut:
        """All lists together. Raises `InputError` for a file that cannot be read, `FormatError` for a line, with its number."""
        entries: dict[str, set[str]] = {"repository": set(), "owner": set(), "file": set()}
        for path in paths:
            for number, line in enumerate(_lines(path), 1):
                content = re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip()
                if content:
                    kind, value = _entry(content, f"'{path}', line {number}")
                    entries[kind].add(value)
        return cls(*(frozenset(entries[kind]) for kind in ("repository", "owner", "file")))

    def __len__(self) -> int:
        return len(self.repositories) + len(self.owners) + len(self.files)

    def match(self, repository: str, hashes: Mapping[str, str] | None = None) -> str | None:
        """The entry that a file falls under (`owner octocat`, say), or None. `hashes` is by kind, as in `HASHES`."""
        name = repository.lower()
        if name in self.repositories:
            return f"repository {name}"
        owner, slash, _ = name.partition("/")
        if slash and owner in self.owners:
            return f"owner {owner}"
        for kind, digest in (hashes or {}).items():
            if (file := f"{kind}:{digest.lower()}") in self.files:
                return f"file {file}"
        return None

    def hash_kinds(self) -> frozenset[str]:
        """The kinds of hashes that the lists use."""
        return frozenset(file.partition(":")[0] for file in self.files)


def hash_of(data: bytes, kind: str) -> str:
    """A file's hash of that kind, in hexadecimal."""
    if kind == "git":
        data, kind = b"blob %d\0" % len(data) + data, "sha1"
    return hashlib.new(kind, data, usedforsecurity=False).hexdigest()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the opt-out list '{path}' cannot be read: {error}") from error


def _entry(content: str, place: str) -> tuple[str, str]:
    kind, _, value = content.partition(" ")
    value = value.strip().lower().rstrip("/")
    if kind == "file":
        return kind, _file(value, place)
    pattern = {"repository": _REPOSITORY, "owner": _OWNER}.get(kind)
    if pattern is None:
        raise FormatError(f"{place}: '{content}' begins with no known word; write {_EXAMPLES}")
    match = pattern.fullmatch(value)
    if match is None:
        raise FormatError(f"{place}: '{value}' is not the name of a{'n' if kind == 'owner' else ''} {kind}; write {_EXAMPLES}")
    return kind, match[1].removesuffix(".git")


def _file(value: str, place: str) -> str:
    kind, _, digest = value.partition(":")
    if kind not in HASHES:
        raise FormatError(f"{place}: '{value}' names no hash; write one of {', '.join(f'{kind}:HEX' for kind in HASHES)}")
    if len(digest) != HASHES[kind] or not re.fullmatch("[0-9a-f]+", digest):
        raise FormatError(f"{place}: '{digest}' is no {kind}, which has {HASHES[kind]} hexadecimal digits")
    return value
