"""What ScanCode says of the licences of real files, kept in a store, so that asking goes on where it stopped; and the sample of
files that is asked about. For `benchmarks/licences.py`."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from starloom.data.licences.evidence import speaks_for_others
from starloom.data.licences.expressions import Both, Either, Expression, WithException, parse
from starloom.data.licences.policies import Policy

Standing = Literal["keep", "none", "drop"]
NEUTRAL = {"dco-1.1", "generic-cla", "google-cla", "jetty-ccla-1.1", "newton-king-cla", "generic-exception"} | {
    "generic-export-compliance",
    "generic-tos",
    "generic-trademark",
    "warranty-disclaimer",
}
INFO = re.compile(r"\.(dist|egg)-info/")
LICENCE_FOLDERS = ("licenses", "LICENSES", "licences")
ASK = Path(__file__).parent / "peers" / "ask_scancode.py"


@dataclass(frozen=True)
class Sampled:
    """A file of an unpacked package: `packages/repository/path`, with its text."""

    repository: str
    path: str
    text: str

    @property
    def sha256(self) -> str:
        """Of its bytes, hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def read_text(place: Path, most: int) -> str | None:
    """The text of a file; None for links, what is longer than `most` bytes, and what is not UTF-8 or holds NUL."""
    if place.is_symlink() or not place.is_file() or place.stat().st_size > most:
        return None
    data = place.read_bytes()
    try:
        return None if b"\0" in data else data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def paths_of(repository: Path) -> list[str]:
    """All files below a package's folder, in order."""
    return sorted(place.relative_to(repository).as_posix() for place in repository.rglob("*") if place.is_file())


def sample(packages: Path, count: int) -> list[Sampled]:
    """`count` texts of 30 to 200,000 bytes, one from each package in turn, in the order of their paths' SHA-256; none twice."""
    turns = [_shuffled(folder) for folder in sorted(packages.iterdir())]
    found: list[Sampled] = []
    seen: set[str] = set()
    while len(found) < count and turns:
        for turn in list(turns):
            one = next((one for one in turn if one.sha256 not in seen), None)
            if one is None:
                turns.remove(turn)
                continue
            seen.add(one.sha256)
            found.append(one)
    return found[:count]


def _shuffled(folder: Path) -> Iterator[Sampled]:
    def rank(path: str) -> bytes:
        return hashlib.sha256(f"{folder.name}/{path}".encode()).digest()

    for path in sorted(paths_of(folder), key=rank):
        text = read_text(folder / path, 200_000)
        if text is not None and len(text.encode()) >= 30:
            yield Sampled(folder.name, path, text)


def candidates(packages: Path, files: Iterable[Sampled]) -> list[Sampled]:
    """The licence files, manifests and the like in the folders of `files` and above them."""
    folders: dict[str, set[str]] = {}
    for file in files:
        parts = file.path.split("/")[:-1]
        folders.setdefault(file.repository, set()).update("/".join(parts[:depth]) for depth in range(len(parts) + 1))
    found = []
    for repository, inside in folders.items():
        for path in paths_of(packages / repository):
            folder, _, name = path.rpartition("/")
            near = folder in inside or folder.rpartition("/")[2] in LICENCE_FOLDERS or INFO.search(path)
            if near and not path.startswith("debian/") and speaks_for_others(name):
                text = read_text(packages / repository / path, 1_000_000)
                found += [] if text is None else [Sampled(repository, path, text)]
    return found


@dataclass(frozen=True)
class ScanCode:
    """ScanCode's answers by SHA-256."""

    answers: Mapping[str, Mapping[str, Any]]

    @classmethod
    def open(cls, store: Path) -> ScanCode:
        """Read the store; a line that was cut off is left out."""
        lines = store.read_text().splitlines() if store.exists() else []
        found = [json.loads(line) for line in lines if line.endswith("}")]
        return cls({answer["sha256"]: answer for answer in found if "error" not in answer})

    @property
    def categories(self) -> dict[str, Mapping[str, str]]:
        """SPDX identifier and category of every key that occurs."""
        return {key: value for answer in self.answers.values() for key, value in answer["licences"].items()}

    def standing(self, expression: str | None, policy: Policy) -> Standing:
        """By ScanCode's own categories and Blue Oak's list (through the policy): the decisions of The Stack v2."""
        tree = parse(expression) if expression else None
        if tree is None:
            return "none"
        worst = _worth(tree, self.categories, policy)
        return "keep" if worst == 2 else "none" if worst == 0 else "drop"

    def is_copyleft(self, expression: str | None, policy: Policy) -> bool:
        """Whether a licence of a copyleft category decides that the file is dropped."""
        names = parse(expression) if expression else None
        known = self.categories
        copyleft = names is not None and any("Copyleft" in known[key]["category"] for key in _keys(names) if key in known)
        return copyleft and self.standing(expression, policy) == "drop"


def _worth(tree: Expression, categories: Mapping[str, Mapping[str, str]], policy: Policy) -> int:
    """2 permissive, 0 neutral, 1 a reference to something unknown (outweighed by a permissive licence), -1 everything else."""
    match tree:
        case Either(parts):
            return max(_worth(part, categories, policy) for part in parts)
        case Both(parts):
            worths = [_worth(part, categories, policy) for part in parts]
            return -1 if -1 in worths else max(worths)
        case WithException(licence, _):
            return _worth(licence, categories, policy)
    if tree in NEUTRAL or tree == "unknown-license-reference":
        return int(tree not in NEUTRAL)
    known = categories[tree]
    listed = known["category"] in ("Permissive", "Public Domain") or policy.standing(known["spdx"]) == "permissive"
    return 2 if listed else -1


def _keys(tree: Expression) -> Iterator[str]:
    match tree:
        case Either(parts) | Both(parts):
            for part in parts:
                yield from _keys(part)
        case WithException(licence, _):
            yield licence
        case _:
            yield tree


def ask(python: Path, store: Path, packages: Path, files: Iterable[Sampled]) -> None:
    """Let ScanCode (of the environment of `python`) answer what the store lacks; about a second a file."""
    names = (json.dumps({"sha256": file.sha256, "place": str(packages / file.repository / file.path)}) for file in files)
    subprocess.run([str(python), str(ASK), str(store)], input="\n".join(names), text=True, check=True)
