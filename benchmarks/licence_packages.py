"""Packages as `starloom data fetch` lays them down, unpacked into a folder each; and the sample of their files that is judged.
For `benchmarks/licences.py`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from starloom.core.progress import bar
from starloom.data.fetch import LOCK_FILE, Locked, read_lock
from starloom.data.licences.evidence import speaks_for_others
from starloom.data.sources.source import open_source

KIND = {"debian": "deb", "npm": "npm", "pypi": "pypi", "pypi-source": "pypi"}
INFO = re.compile(r"\.(dist|egg)-info/")
LICENCE_FOLDERS = ("licenses", "licences", "license")


def unpack(fetched: Path, packages: Path) -> None:
    """Unpack what the lock of `fetched` names and `packages` lacks: into `packages/deb-NAME`, `npm-NAME`, `pypi-NAME`."""
    packages.mkdir(parents=True, exist_ok=True)
    lock = read_lock(fetched / LOCK_FILE)
    with bar("unpacking", len(lock)) as progress:
        for package in lock.values():
            if not (folder := packages / _folder_name(package)).exists():
                _unpack_one(fetched / package.file, folder)
            progress.advance()


def _folder_name(package: Locked) -> str:
    return f"{KIND[package.registry]}-{package.name.replace('/', '-')}"


def _unpack_one(place: Path, folder: Path) -> None:
    """All regular files, without the folder around all of them; `folder` is there when everything is."""
    source = open_source(place)
    with TemporaryDirectory(dir=folder.parent.parent) as partial:
        for file in source.files(strip_top=source.has_top_folder):
            if file.refused is None:
                target = Path(partial) / folder.name / file.path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file.read())
        (Path(partial) / folder.name).replace(folder)


@dataclass(frozen=True)
class Sampled:
    """A file of an unpacked package: `packages/repository/path`, with its text."""

    repository: str
    path: str
    text: str

    @property
    def name(self) -> str:
        """Without folders."""
        return self.path.rpartition("/")[2]

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
            near = folder in inside or folder.rpartition("/")[2].casefold() in LICENCE_FOLDERS or INFO.search(path)
            if near and "/debian/" not in f"/{path}" and speaks_for_others(name):
                text = read_text(packages / repository / path, 1_000_000)
                found += [] if text is None else [Sampled(repository, path, text)]
    return found
