"""Changed files as pull requests and commits show them: the part of the file before, and hunks against it (§4.4).

Differences are git's own, computed in a scratch folder of its own, because Python's `difflib` takes quadratic time on hostile
text. Line numbers of hunks count from the first line that is shown.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from starloom.core.errors import InputError
from starloom.data.languages import language_of
from starloom.data.sources.git import Modified, Objects, diff_files
from starloom.data.sources.rawfile import is_unusable
from starloom.data.sources.rendering import Rendering

WHOLE_PROBABILITY = 0.2
MOST_LINES_AROUND = 32
CONTEXT = (3, 10)
"""How often a base file is shown whole, the lines around its changes else, and the lines around a hunk (paper, section 5.2)."""

_MOST_BYTES = 4_000_000
_KEPT_OF_DATA = 0.1
_DATA_WORDS = ("pack", "lock", "yarn", "output", "swagger", "openapi")
_LONG_LINES = frozenset({"HTML", "JSON", "Markdown", "Roff", "Roff Manpage", "SMT", "TeX", "Text", "XML"})
_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_STOP_WORD = re.compile(
    r"the|be|to|of|and|a|in|that|have|it|for|not|on|with|as|you|do|at|this|is|are|or|an|can|from|by|will", re.IGNORECASE
)
_WORD = re.compile(r"[A-Za-z]+")


@dataclass(frozen=True, slots=True)
class Edit:
    """Lines `start`..`end` before become `new_start`..`new_end` after, counted from 0, ends excluded."""

    start: int
    end: int
    new_start: int
    new_end: int


@dataclass(frozen=True, slots=True)
class Change:
    """One file before and after, as lines, with what differs."""

    path: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    edits: tuple[Edit, ...]


def base_problem(path: str, text: str) -> str | None:
    """Why a file before its change may not be shown (§4.4), or None."""
    lines = text.splitlines() or [""]
    if len(text) > 1_000_000 or len(lines) > 100_000:
        return "too long"
    if sum(map(str.isalnum, text)) < 0.25 * len(text) or not text:
        return "few letters"
    if 2 * text.count("\\x") > 0.25 * len(text):
        return "hexadecimal data"
    language = language_of(path)
    if _is_unwanted(path, language):
        return "unwanted language"
    if language not in _LONG_LINES and (len(text) > 100 * len(lines) or max(map(len, lines)) > 1000):
        return "long lines"
    return "not English" if language == "Markdown" and not _is_english(text) else None


def _is_unwanted(path: str, language: str | None) -> bool:
    """Whether the list has the language with this extension; of a language that no table knows, the extension alone."""
    _, dot, ending = path.rpartition("/")[2].rpartition(".")
    extension = ending.lower() if dot else ""
    if language is None:
        return bool(extension) and any(extension in extensions for extensions in _unwanted().values())
    return extension in _unwanted().get(language, ())


@cache
def _unwanted() -> dict[str, list[str]]:
    """Extensions by language: the 179 pairs that StarCoder 2 left out (pull_requests_and_issues/language_labels.csv)."""
    pairs: dict[str, list[str]] = json.loads(resources.files(__package__).joinpath("unwanted.json").read_text(encoding="utf-8"))
    return pairs


def _is_english(text: str) -> bool:
    """Whether one word in twenty is one of the commonest English ones."""
    words = _WORD.findall(text[:100_000])
    return 20 * sum(_STOP_WORD.fullmatch(word) is not None for word in words) >= len(words) > 0


def change_of(objects: Objects, file: Modified, scratch: Path) -> Change | None:
    """The change of one file of a repository; None when it may not be shown, is no text, or an object is lost."""
    try:
        before, after = (objects.read(name, _MOST_BYTES).decode() for name in (file.before, file.after))
    except (InputError, UnicodeDecodeError):
        return None
    if is_unusable(file.path) or "\0" in before + after or base_problem(file.path, before):
        return None
    change = compare(file.path, before, after, scratch)
    return change if change.edits else None


def compare(path: str, before: str, after: str, scratch: Path) -> Change:
    """The change from one text to the other; `scratch` is a folder that may be written to."""
    hunks = (_HUNK.match(line) for line in diff_files(before, after, scratch).split("\n") if line.startswith("@@ "))
    return Change(path, tuple(_lines(before)), tuple(_lines(after)), tuple(_edit(hunk) for hunk in hunks if hunk))


def _lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []


def _edit(hunk: re.Match[str]) -> Edit:
    place, length, new_place, new_length = (1 if group is None else int(group) for group in hunk.groups())
    start = place - 1 if length else place  # an empty side is numbered by the line in front of it
    new_start = new_place - 1 if new_length else new_place
    return Edit(start, start + length, new_start, new_start + new_length)


def without_data(paths: dict[str, int], draw: random.Random) -> set[str]:
    """The paths that stay: of YAML and JSON files that are most of the bytes, or look made, one in ten (§4.4)."""
    total = max(sum(paths.values()), 1)
    kept = set()
    for path, size in paths.items():
        is_data = language_of(path) in ("YAML", "JSON") and (
            2 * size > total or any(word in path.lower() for word in _DATA_WORDS)
        )
        if not is_data or draw.random() < _KEPT_OF_DATA:
            kept.add(path)
    return kept


def render_base(document: Rendering, changes: Iterable[Change], draw: random.Random) -> dict[str, int]:
    """<pr_base>, then of each file its part that changes touch. Returns the number of lines left out in front, by path."""
    document.mark("<pr_base>")
    by_path: dict[str, list[Change]] = {}
    for change in changes:
        by_path.setdefault(change.path, []).append(change)
    skipped = {}
    for path, versions in by_path.items():
        start, end = _shown(versions, draw)
        skipped[path] = start
        lines = versions[0].before[start:end]
        document.mark("<pr_file>").text(path).mark("<pr_base_code>").text("\n".join(lines))
    return skipped


def _shown(versions: Sequence[Change], draw: random.Random) -> tuple[int, int]:
    total = len(versions[0].before)
    if draw.random() < WHOLE_PROBABILITY:
        return 0, total
    edits = [edit for version in versions for edit in version.edits]
    start = min(edit.start for edit in edits) - draw.randint(0, MOST_LINES_AROUND)
    end = max(edit.end for edit in edits) + draw.randint(0, MOST_LINES_AROUND)
    return max(0, start), min(total, end)


def render_hunks(document: Rendering, change: Change, skipped: int, draw: random.Random) -> None:
    """<pr_file>, then each hunk; those whose surroundings would meet are one."""
    document.mark("<pr_file>").text(change.path)
    context = draw.randint(*CONTEXT)
    for edits in _joined(change.edits, context):
        document.mark("<pr_diff_hunk>").text(_hunk(change, edits, context, skipped))


def _joined(edits: Sequence[Edit], context: int) -> list[list[Edit]]:
    groups: list[list[Edit]] = []
    for edit in edits:
        if groups and edit.start - groups[-1][-1].end <= 2 * context:
            groups[-1].append(edit)
        else:
            groups.append([edit])
    return groups


def _hunk(change: Change, edits: Sequence[Edit], context: int, skipped: int) -> str:
    first, last = edits[0], edits[-1]
    start = max(skipped, first.start - context)
    end = min(len(change.before), last.end + context)
    new_start, new_length = first.new_start - (first.start - start), last.new_end - first.new_start
    new_length += (first.start - start) + (end - last.end)
    lines = [f"@@ -{start - skipped + 1},{end - start} +{new_start - skipped + 1},{new_length} @@"]
    place = start
    for edit in edits:
        lines += [" " + line for line in change.before[place : edit.start]]
        lines += ["-" + line for line in change.before[edit.start : edit.end]]
        lines += ["+" + line for line in change.after[edit.new_start : edit.new_end]]
        place = edit.end
    lines += [" " + line for line in change.before[place:end]]
    return "\n".join(lines)
