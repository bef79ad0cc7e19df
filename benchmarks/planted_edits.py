"""Real files and planted near duplicates: what `benchmarks/duplicates.py` measures on.

Every edit is what happens to files that are copied between repositories; each takes a text and a generator of random numbers,
knows nothing of the language, and is the same for the same seed.
"""

from __future__ import annotations

import hashlib
import random
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

# fmt: off
EXTENSIONS = frozenset([
    "ads", "adb", "c", "cc", "clj", "coffee", "cpp", "cs", "css", "cu", "cxx", "d", "dart", "el", "elm", "erl", "ex", "f",
    "f90", "go", "h", "hpp", "hrl", "hs", "html", "hxx", "inl", "ipp", "java", "jl", "js", "json", "jsx", "kt", "less",
    "lisp", "lua", "m", "md", "mjs", "ml", "mli", "mm", "nim", "p", "php", "pl", "pm", "ps1", "py", "pyi", "pyx", "r", "rb",
    "rs", "rst", "scala", "scm", "scss", "sh", "sql", "swift", "tcl", "tex", "toml", "ts", "tsx", "vim", "vue", "xml",
    "xrl", "yaml", "yml", "yrl",
])
# fmt: on
LEAST_BYTES, MOST_BYTES = 200, 200_000
NOTICE = """Copyright {year} The {name} Authors. All rights reserved.

Redistribution and use in source and binary forms, with or without modification, are permitted provided that the conditions of the
licence in the file LICENSE at the root of this repository are met; this software is provided as it is, without warranty of any
kind, express or implied, including the warranties of merchantability and fitness for a particular purpose. Changes: {name}."""

Edit = Callable[[str, random.Random], str]
_IDENTIFIER = re.compile(r"\b[A-Za-z_][A-Za-z0-9_]{3,}\b")
_HEAD = re.compile(r"(?:[ \t]*(?://|#(?!include|define|if)|\*|/\*|--|;|%)[^\n]*\n)+")


def rename_identifiers(text: str, draw: random.Random) -> str:
    """A few names, all over the file."""
    names = sorted(set(_IDENTIFIER.findall(text)))
    chosen = set(draw.sample(names, k=min(len(names), draw.randint(1, 3 + len(names) // 25))))
    return _IDENTIFIER.sub(lambda match: match[0] + "_v" if match[0] in chosen else match[0], text)


def reformat(text: str, draw: random.Random) -> str:
    """Other indentation, spaces around operators, no empty lines, other line ends."""
    unit = draw.choice([" ", "  ", "\t"])
    lines = [unit * ((len(line) - len(line.lstrip())) // 2) + line.strip() for line in text.splitlines() if line.strip()]
    return re.sub(r"\s*([=+,])\s*", r" \1 ", draw.choice(["\n", "\r\n"]).join(lines))


def strip_comments(text: str, draw: random.Random) -> str:
    """Without lines that begin as comments do."""
    kept = [line for line in text.splitlines() if not line.lstrip().startswith(("//", "#", "*", "/*", "--", ";", "%"))]
    return "\n".join(kept) + "\n"


def change_header(text: str, draw: random.Random) -> str:
    """Another licence at the head, in the comment marks of what was there."""
    head = _HEAD.match(text)
    mark = head[0].split()[0] if head else "//"
    mark = "//" if mark.startswith(("/", "*")) else re.match(r"\W{0,2}", mark)[0] or "#"  # type: ignore[index]
    notice = NOTICE.format(year=draw.randint(1999, 2026), name=draw.choice(["Aldebaran", "Betelgeuse", "Capella"]))
    return "".join(f"{mark} {line}\n" for line in notice.splitlines()) + text[head.end() if head else 0 :]


def change_lines(text: str, draw: random.Random) -> str:
    """1-12 % of the lines deleted, and as many inserted from elsewhere in the file with another word in them."""
    lines = text.splitlines()
    share = draw.uniform(0.01, 0.12)
    out = []
    for line in lines:
        if draw.random() >= share:
            out.append(line)
        if draw.random() < share:
            out.append(f"{draw.choice(lines)} inserted{draw.randrange(1000)}")
    return "\n".join(out) + "\n"


def bump_version(text: str, draw: random.Random) -> str:
    """Every number greater, a paragraph gone from somewhere, a few lines at the end: the next release."""
    lines = re.sub(r"\b(\d{1,4})\b", lambda match: str(int(match[0]) + 1), text).splitlines()
    gone = draw.randrange(len(lines) + 1)
    del lines[gone : gone + len(lines) // 20]
    return "\n".join([*lines, *(f"added_{number} = value_{draw.randrange(1000)}" for number in range(len(lines) // 50))]) + "\n"


EDITS: dict[str, Edit] = {
    edit.__name__: edit for edit in (rename_identifiers, reformat, strip_comments, change_header, change_lines, bump_version)
}


def planted(sources: Sequence[Path], num_files: int, num_edits: int, seed: int) -> pa.Table:
    """`num_files` distinct real files, an equal share of each source as far as it goes, and `num_edits` edited copies.

    Columns: `text`, `name`, `origin` (the row that was edited; -1: real), `edit`. Rows are in random order.
    """
    draw = random.Random(seed)
    real = _real_files(sources, num_files, draw)
    rows = [(text, name, -1, "") for name, text in real]
    for number in range(num_edits):
        origin = draw.randrange(len(real))
        edit = list(EDITS)[number % len(EDITS)]
        rows.append((EDITS[edit](real[origin][1], draw), real[origin][0], origin, edit))
    order = list(range(len(rows)))
    draw.shuffle(order)
    place = {old: new for new, old in enumerate(order)}
    return pa.Table.from_pylist(
        [
            {"text": text, "name": name, "origin": place.get(origin, -1), "edit": edit}
            for text, name, origin, edit in (rows[old] for old in order)
        ]
    )


def _real_files(sources: Sequence[Path], count: int, draw: random.Random) -> list[tuple[str, str]]:
    """(name, text) of distinct files, round robin over the sources in random order within each."""
    seen: set[bytes] = set()
    queues = []
    for source in sources:
        files = []
        for name, data in sorted(_files(source)):
            digest = hashlib.sha256(data).digest()
            if digest not in seen:
                seen.add(digest)
                files.append((f"{source.name}/{name}", data.decode()))
        draw.shuffle(files)
        queues.append(files)
    found: list[tuple[str, str]] = []
    while len(found) < count and any(queues):
        for files in queues:
            if files and len(found) < count:
                found.append(files.pop())
    return found


def _files(source: Path) -> Iterator[tuple[str, bytes]]:
    """Code and documents in UTF-8 of one folder, zip file or tar file."""
    for name, data in _members(source):
        if name.rpartition(".")[2].lower() in EXTENSIONS and LEAST_BYTES <= len(data) <= MOST_BYTES and b"\0" not in data:
            try:
                data.decode()
            except UnicodeDecodeError:
                continue
            yield name, data


def _members(source: Path) -> Iterator[tuple[str, bytes]]:
    if source.is_dir():
        for path in source.rglob("*"):
            if path.is_file() and not path.is_symlink():
                yield str(path.relative_to(source)), path.read_bytes()
    elif zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            for entry in archive.infolist():
                if not entry.is_dir():
                    yield entry.filename, archive.read(entry)
    else:
        with tarfile.open(source) as tar:
            for member in tar:
                stream = tar.extractfile(member) if member.isfile() else None
                if stream is not None:
                    yield member.name, stream.read()
