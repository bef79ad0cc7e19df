"""The files below root directories, by level-wise joins with `directory_entry`, then with `content` (specification §5.1).

Directories that roots share are read once. Depth is at most 64; a directory of over 1,000,000 entries is left out, links and
submodules are listed with their reason. Memory: about 300 bytes an entry of the directories below the given roots.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from starloom.data.sources.heritage.tables import Graph, rows_in
from starloom.data.sources.rawfile import LINK, NOT_REGULAR, UNUSABLE_PATH, Limits, is_unusable, readable

DEEPEST = 64
LARGEST_DIRECTORY = 1_000_000

TOO_DEEP = "deeper than 64 folders"
LARGE_DIRECTORY = "folder of over a million entries"
MISSING_DIRECTORY = "folder missing"
MANY_FILES = "over the most files of a repository"

_LINK_MODE = 0o120000
_FORMAT = 0o170000
_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a directory: `kind` is file, dir or rev; `target` the object's git id."""

    name: bytes
    kind: str
    target: str
    mode: int


@dataclass(frozen=True, slots=True)
class TreeFile:
    """A file of a repository with the git id of its content, or why it has none."""

    path: str
    target: str
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """Where a content is stored (`sha1` of its bytes) and how long it is."""

    sha1: str
    length: int


def read_directories(graph: Graph, roots: set[str]) -> dict[str, list[Entry] | None]:
    """The entries of every directory at or below `roots`, by id; None for one that is too large. Raises `InputError`."""
    known: dict[str, list[Entry] | None] = {}
    level = set(roots)
    for _ in range(DEEPEST + 1):
        level -= known.keys()
        if not level:
            break
        known |= _entries(graph, level)
        level = {entry.target for name in level for entry in known.get(name) or () if entry.kind == "dir"}
    return known


def _entries(graph: Graph, wanted: set[str]) -> dict[str, list[Entry] | None]:
    found: dict[str, dict[bytes, Entry] | None] = {}
    values = pa.array(sorted(wanted), pa.string())
    for table in graph.read("directory_entry", ("directory_id", "name", "type", "target", "perms")):
        for row in rows_in(table, "directory_id", values):
            entries = found.setdefault(row["directory_id"], {})
            if entries is not None:
                entries[row["name"]] = Entry(row["name"], row["type"], row["target"], row["perms"] or 0)
                if len(entries) > LARGEST_DIRECTORY:
                    found[row["directory_id"]] = None
    return {
        name: None if entries is None else sorted(entries.values(), key=lambda entry: entry.name)
        for name, entries in found.items()
    }


def files_below(root: str, directories: dict[str, list[Entry] | None], limits: Limits) -> Iterator[TreeFile]:
    """Every file of the tree at `root`, in the order of names. Tables with a ring in them end at the deepest level."""
    pending = [("", Entry(b"root", "dir", root, 0))]
    count = 0
    while pending:
        path, entry = pending.pop()
        reason = _reason(path, entry, directories)
        if reason is None and entry.kind == "dir":
            children = reversed(directories.get(entry.target) or ())
            pending += [(_joined(path, child.name), child) for child in children]
        else:
            yield TreeFile(readable(path) or ".", entry.target, reason)
        count += 1
        if count > limits.files:
            yield TreeFile(".", root, MANY_FILES)
            return


def _joined(path: str, name: bytes) -> str:
    return (f"{path}/" if path else "") + name.decode("utf-8", "surrogateescape")


def _reason(path: str, entry: Entry, directories: dict[str, list[Entry] | None]) -> str | None:
    """Why an entry is listed and not followed or read, or None."""
    if is_unusable(path) or entry.name in (b"", b".", b"..") or b"/" in entry.name:
        return UNUSABLE_PATH
    if entry.kind == "file":
        return LINK if entry.mode & _FORMAT == _LINK_MODE else None
    if entry.kind != "dir":
        return NOT_REGULAR
    if path.count("/") >= DEEPEST:
        return TOO_DEEP
    if entry.target not in directories:
        return None if entry.target == _EMPTY_TREE else MISSING_DIRECTORY
    return LARGE_DIRECTORY if directories[entry.target] is None else None


def read_contents_table(graph: Graph, wanted: set[str]) -> dict[str, Content]:
    """Where the contents with the git ids `wanted` are stored. Raises `InputError`."""
    found: dict[str, Content] = {}
    values = pa.array(sorted(wanted), pa.string())
    for table in graph.read("content", ("sha1", "sha1_git", "length")):
        rows: list[dict[str, Any]] = rows_in(table, "sha1_git", values)
        found |= {row["sha1_git"]: Content(row["sha1"], row["length"]) for row in rows}
    return found
