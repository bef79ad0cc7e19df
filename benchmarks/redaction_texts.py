# ruff: noqa: E501
"""The texts of `redaction.py`: real files of wheels with what is planted in them and what in them must be left alone."""

from __future__ import annotations

import itertools
import random
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import redaction_shapes as shapes
from redaction_templates import VALUES, plant

NEGATIVES = {
    "hash in hexadecimal": r"(?<=[\"'`:= ])(?:[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{32})(?=[\"'`, \n)]|$)",
    "hash in base64": r"sha256=[\w-]{43}",
    "integrity": r"sha(?:256|384|512)-[A-Za-z0-9+/=]{40,90}",
    "uuid": r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
    "image in base64": r"(?:data:[\w/+.-]+;base64,|\"image/png\": \")[A-Za-z0-9+/=]{60,}",
    "example address": r"[\w.+-]+@[\w.]*example\.(?:com|org|net)",
    "private address": r"\b(?:127\.0\.0\.\d+|192\.168\.\d+\.\d+|10\.\d+\.\d+\.\d+|0\.0\.0\.0|255\.255\.\d+\.\d+|169\.254\.\d+\.\d+)\b",
    "version": r"(?:(?i:version)\W{1,6}|==|>=|\bv)\d+\.\d+\.\d+\.\d+\b",
    "computed password": r"(?i:password|passwd|secret|token|api_key)\s?=\s?(?:self|os|get|settings|config|None|True|request|kwargs)[\w.\[(]*",
    "stand-in": r"(?i:password|secret|token|key)[\"']?\s?[:=]\s?[\"'](?:your|my|<|\$\{|x{3}|changeme|\*{3}|example|password|secret|token|dummy)[^\"'\n]*",
    "identifier": r"(?i:password|secret|token|api_?key|credential)s?[\"']?\]?\s?[:=]\s?[\"'][a-z]+(?:[_.-][a-z]+)+[\"']",
    "not an address": r"@(?:[\w-]+/[\w-]+|2x\.\w+|[a-z_]+\.[a-z_]+\()|git@[\w.]+:",
    "time or scope": r"\b\w+::\w+::\w+|\b\d\d:\d\d:\d\d\b",
    "organisation": r"(?i:copyright)[ (c)\d,-]+[A-Z]\w+(?: \w+)* (?:Inc|LLC|Ltd|Foundation|Authors|Contributors|Corporation|Project|Team)\b",
}  # fmt: skip
_KEYISH = re.compile(r"key|token|secret|passw|signature", re.IGNORECASE)
MAX_SIZE, MIN_SIZE = 20_000, 800
TEXTS = (".py", ".js", ".ts", ".json", ".html", ".css", ".md", ".c", ".h", ".yaml", ".yml", ".toml", ".txt", ".rst", ".sh", ".pyx",
         ".cfg", ".ini", ".xml", ".ipynb", ".java", ".cpp", ".rb", ".lock")  # fmt: skip


@dataclass
class Text:
    """One file of the bench: where what is planted in it, and where what must be left alone."""

    name: str
    text: str
    planted: list[tuple[str, int, int]] = field(default_factory=list)
    negatives: list[tuple[str, int, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Piece:
    """Lines to be put into a file, and the span in them that is planted or must be left alone."""

    kind: str
    text: str
    start: int
    end: int
    secret: bool = True


def real_files(wheels: Path, half: int, each: int) -> Iterator[tuple[str, str]]:
    """(name, text) of some files of every package of a half; the table of letters is made of half 0, the bench of half 1."""
    for path in sorted(wheels.glob("*.whl")):
        if zlib.crc32(path.name.split("-")[0].encode()) % 2 != half:
            continue
        with zipfile.ZipFile(path) as archive:
            entries = [
                entry for entry in archive.infolist() if entry.filename.endswith((*TEXTS, "RECORD")) and entry.file_size < 400_000
            ]
            random.Random(path.name).shuffle(entries)
            for entry in entries[:each]:
                data = archive.read(entry)
                try:
                    yield entry.filename, data.decode()
                except UnicodeDecodeError:
                    continue


def first_set(wheels: Path, per_kind: int = 100) -> list[Text]:
    """The templates of `redaction_templates.py`, and places in real files that look like secrets."""
    draw = random.Random(1)
    pieces = [Piece(kind, *plant(kind, draw)) for kind in VALUES for _ in range(per_kind)]
    return [*_mixed(pieces, wheels, draw), *_with_negatives(wheels, per_kind * 3 // 2)]


def second_set(wheels: Path, per_kind: int = 60) -> list[Text]:
    """The shapes of `redaction_shapes.py`, at least four times each and `per_kind` times a kind; each look-alike once."""
    draw = random.Random(2)
    numbers = Counter(kind for kind, _ in shapes.POSITIVES)
    pieces = [Piece(kind, *shapes.plant_shape(kind, shape, draw))
              for kind, shape in shapes.POSITIVES for _ in range(max(4, -(-per_kind // numbers[kind])))]  # fmt: skip
    alike = dict.fromkeys((kind, shapes.look_alike(shape, draw)) for kind, shape in shapes.NEGATIVES for _ in range(4))
    pieces += [Piece(kind, text, 0, len(text), secret=False) for kind, text in alike]
    return _mixed(pieces, wheels, draw)


def _mixed(pieces: list[Piece], wheels: Path, draw: random.Random) -> list[Text]:
    """Three pieces a real file, each behind a line of it."""
    draw.shuffle(pieces)
    hosts = (host for host in real_files(wheels, 1, 100) if MIN_SIZE < len(host[1]) < MAX_SIZE and "RECORD" not in host[0])
    waiting = iter(pieces)
    texts: list[Text] = []
    for name, text in hosts:
        lines = text.split("\n")
        places = dict(zip(sorted(draw.sample(range(len(lines)), min(3, len(lines)))), waiting, strict=False))
        if not places:
            return texts
        made = Text(Path(name).name, "")
        for number, line in enumerate(lines):
            made.text += line + "\n"
            if piece := places.get(number):
                span = (piece.kind, len(made.text) + piece.start, len(made.text) + piece.end)
                (made.planted if piece.secret else made.negatives).append(span)
                made.text += piece.text + "\n"
        texts.append(made)
    raise ValueError(f"there are too few files in the wheels of {wheels} to plant {len(pieces):,} pieces; give more wheels")


def _with_negatives(wheels: Path, per_kind: int) -> list[Text]:
    """Real files with places that look like secrets; at most four of a kind from one file."""
    counts: Counter[str] = Counter()
    texts = []
    for name, text in real_files(wheels, 1, 400):
        if len(text) >= 200_000:
            continue
        made = Text(Path(name).name, text)
        for kind, pattern in NEGATIVES.items():
            if counts[kind] < per_kind:
                matches = (match for match in re.finditer(pattern, text) if _is_negative(kind, text, match))
                made.negatives += [(kind, match.start(), match.end()) for match in itertools.islice(matches, 4)]
        counts.update(kind for kind, _, _ in made.negatives)
        if made.negatives:
            texts.append(made)
    return texts


def _is_negative(kind: str, text: str, match: re.Match[str]) -> bool:
    """A hash on a line that speaks of keys may be one, so it is not taken."""
    line = text[text.rfind("\n", 0, match.start()) + 1 : match.start()][-200:]
    return not (kind in ("hash in hexadecimal", "uuid") and _KEYISH.search(line))
