"""Whether a text holds a benchmark's task: an index over benchmark files, asked once a document.

Three tests. Containment (StarCoder 2 paper, section 3.3): the text contains a solution or a description, without regard to case
and white space. Overlap: the text has half of the word 10-grams of a task, which finds copies with comment marks or some names
changed. Shape: it has most of a task's grams of tokens in which all names are alike, which finds copies with any names changed.
All run over arrays of hashes, in time linear in the text. Knows the fields of benchmark records and nothing of documents.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from starloom.core.errors import FormatError, InputError

MIN_LENGTH = 40
"""Characters without white space from which a solution or description is worth looking for; a shorter solution is looked for
together with its prompt. BigCode's script left out four trivial solutions by hand instead. False hits: benchmarks/records."""
WINDOW = 32
"""Characters of a needle that are hashed."""
GRAM = 10
"""Words in a gram."""
MIN_GRAMS = 12
"""A task with fewer grams of its own is left to containment."""
MIN_SHARE = 0.5
MAX_TASKS = 3
"""A gram of more tasks than this is boilerplate (imports, "You are an expert programmer")."""

SHAPE_GRAM = 24
"""Tokens in a gram of the shape: a word that is no number is only a word, a number its first digit, a sign itself."""
SHAPE_SIGNS = 10
"""A gram with fewer signs and numbers is prose or says too little."""
MIN_SHAPES = 24
MIN_SHAPE_SHARE = 0.8

_Hashes = NDArray[np.uint64]
_BASE = np.uint64(0x9E3779B97F4A7C15)
_BASE_INVERSE = np.uint64(pow(0x9E3779B97F4A7C15, -1, 1 << 64))
_PIECE = 1 << 20
_WORD_BYTES = np.array([chr(byte).isalnum() or byte in b"_" or byte >= 0x80 for byte in range(256)])
_SPACES = np.array([chr(byte).isspace() for byte in range(256)])
_ASCII_SPACES = bytes(byte for byte in range(128) if _SPACES[byte])
_DOCSTRING = re.compile(r'"""(.*?)"""|\'\'\'(.*?)\'\'\'', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Hit:
    """What was found: the task, its file, by which test ("solution", "description", "overlap", "shape"), and the share of it."""

    task: str
    file: str
    test: str
    share: float


@dataclass(frozen=True, slots=True)
class _Task:
    name: str
    file: str
    family: str
    strings: tuple[tuple[str, str], ...]
    """(test, text) pairs for containment"""
    whole: str


class Index:
    """Benchmarks to look for. It is made once a process; a text costs tens of nanoseconds a byte."""

    def __init__(self, tasks: Iterable[_Task]) -> None:
        self._tasks = list(tasks)
        self._needles = _Needles(self._tasks)
        self._overlap = _Grams(self._tasks, "overlap", gram_hashes, MIN_GRAMS, MIN_SHARE)
        self._shape = _Grams(self._tasks, "shape", shape_hashes, MIN_SHAPES, MIN_SHAPE_SHARE)

    @classmethod
    def of(cls, paths: Iterable[Path]) -> Index:
        """Index `.jsonl` and `.jsonl.gz` files, those in folders, and those in wheels and zip files.

        Records have `task_id` (or `id`) and `canonical_solution` (or `code`), `prompt`, `description`, `suffix` where they
        have them. Raises `InputError` for a path that is missing or holds no benchmark, `FormatError` for a bad line.
        """
        return cls(task for path in paths for task in _read(path))

    def __len__(self) -> int:
        return len(self._tasks)

    def find(self, text: str) -> Hit | None:
        """The first task, in the order of the files, that `text` contains; else the one that it overlaps most; else None."""
        return self._needles.find(text) or self._overlap.find(text) or self._shape.find(text)


def squeezed(text: str) -> bytes:
    """The text in lower case without white space, in UTF-8."""
    if text.isascii():
        return text.lower().encode().translate(None, _ASCII_SPACES)
    return "".join(text.lower().split()).encode(errors="replace")


class _Needles:
    """Strings to find whole: each by the hash of that window of it which the fewest others have."""

    def __init__(self, tasks: list[_Task]) -> None:
        unique: dict[bytes, Hit] = {}
        for task in tasks:
            for test, text in task.strings:
                needle = squeezed(text)
                if len(needle) >= MIN_LENGTH:
                    unique.setdefault(needle, Hit(task.name, task.file, test, 1.0))
        self._needles = list(unique)
        self._hits = list(unique.values())
        windows = [_window_hashes(needle) for needle in self._needles]
        joined = np.concatenate([np.empty(0, np.uint64), *windows])
        _, inverse, counts = np.unique(joined, return_inverse=True, return_counts=True)
        ends = np.cumsum([len(each) for each in windows])
        places = [int(np.argmin(each)) for each in np.split(counts[inverse], ends[:-1])[: len(windows)]]
        hashes = np.array([each[place] for each, place in zip(windows, places, strict=True)], np.uint64)
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._order, self._places = hashes[order], order, places
        self._filter = _Filter(self._hashes)

    def find(self, text: str) -> Hit | None:
        haystack = squeezed(text)
        if len(haystack) < MIN_LENGTH or not self._needles:
            return None
        best = len(self._needles)
        for offset in range(0, len(haystack), _PIECE):
            hashes = _window_hashes(haystack[offset : offset + _PIECE + WINDOW - 1])
            for place in self._filter.places(hashes):
                best = min(best, self._at(haystack, offset + int(place), hashes[place], best))
        return self._hits[best] if best < len(self._needles) else None

    def _at(self, haystack: bytes, place: int, value: np.uint64, best: int) -> int:
        """The least needle below `best` whose window is at `place`."""
        first, last = np.searchsorted(self._hashes, value), np.searchsorted(self._hashes, value, "right")
        for number in map(int, self._order[first:last]):
            start = place - self._places[number]
            if number < best and start >= 0 and haystack.startswith(self._needles[number], start):
                best = number
        return best


class _Grams:
    """Tasks by the hashes of their grams, of which a text must have `share`; a task with fewer than `fewest` is left out."""

    def __init__(self, tasks: list[_Task], test: str, hashes_of: Callable[[str], _Hashes], fewest: int, share: float) -> None:
        self._tasks, self._test, self._hashes_of, self._fewest, self._share = tasks, test, hashes_of, fewest, share
        grams_of = cache(lambda whole: np.unique(hashes_of(whole)))  # tasks that leave out parts of one program share it
        grams = [grams_of(task.whole) for task in tasks]
        families = {name: number for number, name in enumerate(dict.fromkeys(task.family for task in tasks))}
        values = np.concatenate([np.empty(0, np.uint64), *grams])
        owners = np.repeat(np.arange(len(tasks)), [len(each) for each in grams])
        family = np.array([families[task.family] for task in tasks], np.int64)
        order = np.lexsort((family[owners], values))
        ordered, by = values[order], family[owners][order]
        first_of_family = np.concatenate([[True], (ordered[1:] != ordered[:-1]) | (by[1:] != by[:-1])])[: len(ordered)]
        common, counts = np.unique(ordered[first_of_family], return_counts=True)
        own = ~np.isin(values, common[counts > MAX_TASKS])
        values, owners = values[own], owners[own]
        self._sizes = np.bincount(owners, minlength=len(tasks))
        order = np.argsort(values, kind="stable")
        self._values, self._owners = values[order], owners[order]
        self._filter = _Filter(np.unique(self._values))

    def find(self, text: str) -> Hit | None:
        hashes = self._hashes_of(text)
        found = np.unique(hashes[self._filter.places(hashes)])
        if len(found) < self._fewest * self._share:
            return None
        first, last = np.searchsorted(self._values, found), np.searchsorted(self._values, found, "right")
        starts = np.repeat(first - np.concatenate([[0], np.cumsum(last - first)[:-1]]), last - first)
        owners, counts = np.unique(self._owners[starts + np.arange(len(starts))], return_counts=True)
        shares = np.where(self._sizes[owners] >= self._fewest, counts / self._sizes[owners], 0.0)
        best = int(np.argmax(shares))
        if shares[best] < self._share:
            return None
        task = self._tasks[owners[best]]
        return Hit(task.name, task.file, self._test, round(float(shares[best]), 3))


class _Filter:
    """A sorted set of hashes, asked for many at once; most are answered by a bit or two."""

    _BITS = 22

    def __init__(self, hashes: _Hashes) -> None:
        self._hashes = hashes
        self._first, self._second = (np.zeros(1 << self._BITS, np.bool_) for _ in range(2))
        self._first[self._slots(hashes, 1)] = True
        self._second[self._slots(hashes, 2)] = True

    def places(self, hashes: _Hashes) -> NDArray[np.int64]:
        """Where the members of the set are in `hashes`."""
        likely = np.flatnonzero(self._first[self._slots(hashes, 1)])
        likely = likely[self._second[self._slots(hashes[likely], 2)]]
        if not len(likely) or not len(self._hashes):
            return likely[:0]
        at = np.minimum(np.searchsorted(self._hashes, hashes[likely]), len(self._hashes) - 1)
        found: NDArray[np.int64] = likely[self._hashes[at] == hashes[likely]]
        return found

    def _slots(self, hashes: _Hashes, part: int) -> NDArray[np.int64]:
        """The `part`-th `_BITS` bits of each hash, from the highest on."""
        return (hashes >> np.uint64(64 - part * self._BITS)).astype(np.int64) & ((1 << self._BITS) - 1)


def _window_hashes(data: bytes) -> _Hashes:
    """A hash of each run of `WINDOW` bytes: a polynomial modulo 2^64 by differences of sums, mixed."""
    return _runs(np.frombuffer(data, np.uint8).astype(np.uint64) + np.uint64(1), WINDOW)


def gram_hashes(text: str) -> _Hashes:
    """A hash of each run of `GRAM` words (letters, digits, `_`; lower case), by hashes of the words."""
    data = np.frombuffer(text.lower().encode(errors="replace"), np.uint8)
    inside = np.concatenate([[False], _WORD_BYTES[data], [False]])
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    starts, ends = edges[::2], edges[1::2]
    sums, powers = _sums(data.astype(np.uint64) + np.uint64(1))
    return _runs(_mixed((sums[ends] - sums[starts]) * powers[starts]), GRAM)


def shape_hashes(text: str) -> _Hashes:
    """A hash of each run of `SHAPE_GRAM` tokens that has enough signs, by the first bytes of the tokens; all letters are one."""
    data = np.frombuffer(text.encode(errors="replace"), np.uint8)
    inside = _WORD_BYTES[data]
    begins = inside & ~np.concatenate([[False], inside[:-1]])
    first = data[begins | ~(inside | _SPACES[data])]
    is_word = _WORD_BYTES[first] & ~((first >= ord("0")) & (first <= ord("9")))
    hashes = _runs(_mixed(np.where(is_word, ord("a"), first).astype(np.uint64) + np.uint64(1)), SHAPE_GRAM)
    signs = np.concatenate([[0], np.cumsum(~is_word)])
    return hashes[signs[SHAPE_GRAM:] - signs[:-SHAPE_GRAM] >= SHAPE_SIGNS] if len(hashes) else hashes


def _runs(values: _Hashes, length: int) -> _Hashes:
    if len(values) < length:
        return np.empty(0, np.uint64)
    sums, powers = _sums(values)
    return _mixed((sums[length:] - sums[:-length]) * powers[: len(values) - length + 1])


def _sums(values: _Hashes) -> tuple[_Hashes, _Hashes]:
    """Sums of value x base^-place, and base^place, so that (sums[b] - sums[a]) x powers[a] is the same at every place."""
    make = _kept_powers if len(values) <= _PIECE + WINDOW else _powers
    powers, inverses = (make(base, max(len(values), _PIECE + WINDOW)) for base in (_BASE, _BASE_INVERSE))
    sums = np.zeros(len(values) + 1, np.uint64)
    np.cumsum(values * inverses[: len(values)], out=sums[1:])
    return sums, powers[: len(values) + 1]


def _powers(base: np.uint64, most: int) -> _Hashes:
    """The powers of `base` from 0 to `most`, modulo 2^64."""
    return np.concatenate([np.ones(1, np.uint64), np.full(most, base)]).cumprod(dtype=np.uint64)


_kept_powers = cache(_powers)  # of one length: that of a piece


def _mixed(values: _Hashes) -> _Hashes:
    values = (values ^ (values >> np.uint64(31))) * np.uint64(0xBF58476D1CE4E5B9)
    return values ^ (values >> np.uint64(29))


def _read(path: Path) -> Iterator[_Task]:
    found = False
    for name, data in _contents(path):
        found = True
        yield from _tasks(name, data)
    if not found:
        raise InputError(f"'{path}' holds no benchmark: name .jsonl or .jsonl.gz files, a folder of them, or a wheel")


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file() and _is_benchmark(file.name):
                yield file.relative_to(path).as_posix(), file.read_bytes()
    elif path.suffix in (".whl", ".zip"):
        yield from _in_archive(path)
    elif path.is_file() and _is_benchmark(path.name):
        yield path.name, path.read_bytes()


def _is_benchmark(name: str) -> bool:
    return name.endswith((".jsonl", ".jsonl.gz"))


def _in_archive(path: Path) -> list[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(path) as archive:
            return [(name, archive.read(name)) for name in sorted(archive.namelist()) if _is_benchmark(name)]
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"'{path}' cannot be read: {error}") from error


def _tasks(name: str, data: bytes) -> Iterator[_Task]:
    try:
        raw = gzip.decompress(data) if name.endswith(".gz") else data
    except (OSError, EOFError, zlib.error) as error:
        raise FormatError(f"'{name}' is not a whole gzip file: {error}") from error
    for number, line in enumerate(io.BytesIO(raw), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise FormatError(f"'{name}', line {number}, is not JSON: {error}") from error
        if not isinstance(record, dict):
            raise FormatError(f"'{name}', line {number}, is not an object")
        yield _task(record, name, number)


def _task(record: Mapping[str, Any], file: str, number: int) -> _Task:
    def text(*fields: str) -> str:
        return next((value for field in fields if isinstance(value := record.get(field), str)), "")

    name = text("task_id", "id") or f"line {number}"
    prompt, solution, suffix = text("prompt"), text("canonical_solution", "code", "solution"), text("suffix")
    whole = prompt + solution + suffix
    strings: tuple[tuple[str, str], ...] = (("solution", whole),)
    if not suffix:
        docstring = _DOCSTRING.search(prompt)
        description = text("description", "text") or ((docstring[1] or docstring[2] or "") if docstring else "")
        short = len(squeezed(solution)) < MIN_LENGTH
        strings = (("solution", whole if short else solution), ("description", description))
    return _Task(name, file, f"{file.split('/')[0]} {''.join(re.findall(r'[0-9]+', name)[:1])}", strings, whole)
