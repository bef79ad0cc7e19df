"""Packages from PyPI by name, as wheels, with a lock file: the same list gives the same bytes later, or an error that says so.

`pip` does the downloading, one package at a time; one that fails is reported and the rest goes on. Nothing is installed
and no code of a package is run (wheels only).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from starloom.core.errors import FormatError, InputError, MismatchError
from starloom.core.files import new_file, sha256_of, write_text
from starloom.core.progress import bar

LOCK_FILE = "fetch.lock"
_LINE = re.compile(r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?:==(?P<version>[A-Za-z0-9.!+_-]+))?")


@dataclass(frozen=True, slots=True)
class Locked:
    """One package of the lock file."""

    name: str
    version: str
    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a fetch gave: the packages that are there now, and the message of each that failed."""

    packages: tuple[Locked, ...]
    failed: dict[str, str]


Download = Callable[[str, Path], None]
"""Puts the wheel of one requirement into a folder; raises `InputError`."""


def fetch(names_file: Path, out: Path, download: Download | None = None) -> Fetched:
    """Fetch the packages that `names_file` lists (`name` or `name==version` a line, `#` comments) into `out`.

    Raises `InputError` for a list that cannot be read, `FormatError` for a damaged lock, `MismatchError` when a file
    does not have the hash that the lock holds; files that are there already are kept.
    """
    requirements = read_names(names_file)
    lock = read_lock(out / LOCK_FILE)
    failed: dict[str, str] = {}
    out.mkdir(parents=True, exist_ok=True)
    with bar("fetching", len(requirements)) as progress:
        for name, version in requirements.items():
            progress.say(name)
            try:
                lock[name] = _fetch_one(name, version, lock.get(name), out, download or pip_download)
                _write_lock(out / LOCK_FILE, lock)
            except MismatchError:
                raise
            except InputError as error:
                failed[name] = str(error)
            progress.advance()
    return Fetched(tuple(lock[name] for name in requirements if name in lock and name not in failed), failed)


def read_names(path: Path) -> dict[str, str | None]:
    """Package names with their versions, in order. Raises `InputError` that names the line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the list '{path}' cannot be read: {error}") from error
    names: dict[str, str | None] = {}
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        match = _LINE.fullmatch(text)
        if match is None:
            raise InputError(f"{path}:{number}: '{text}' is not of the form name or name==version")
        names[re.sub(r"[-_.]+", "-", match["name"]).lower()] = match["version"]
    return names


def read_lock(path: Path) -> dict[str, Locked]:
    """The packages of a lock file; none when there is no file. Raises `FormatError`."""
    if not path.exists():
        return {}
    try:
        packages = [Locked(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))["packages"]]
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"'{path}' is not a lock file that we wrote ({error}): remove it to fetch anew") from error
    return {package.name: package for package in packages}


def pip_download(requirement: str, folder: Path) -> None:
    """Let pip put the wheel of `requirement` into `folder`. Raises `InputError` with pip's last line."""
    options = ("--no-deps", "--only-binary", ":all:", "--disable-pip-version-check", "--no-input", "--quiet")
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        lines = (
            [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines() or ["no message"]
        )
        raise InputError(f"pip cannot fetch '{requirement}': {lines[-1].removeprefix('ERROR: ')}")


def _fetch_one(name: str, version: str | None, locked: Locked | None, out: Path, download: Download) -> Locked:
    if locked is not None and version is not None and locked.version != version:
        raise MismatchError(f"'{name}=={version}' is asked for, but {LOCK_FILE} holds version {locked.version}: remove its entry")
    if locked is not None and (out / locked.file).is_file():
        return _checked(locked, out / locked.file)
    wanted = locked.version if locked is not None else version
    with TemporaryDirectory(dir=out, prefix=".fetch-") as folder:
        download(f"{name}=={wanted}" if wanted else name, Path(folder))
        files = [file for file in Path(folder).iterdir() if file.suffix == ".whl"]
        if len(files) != 1:
            raise InputError(f"pip gave {len(files)} wheels for '{name}', not one")
        found = Locked(name, files[0].name.split("-")[1], files[0].name, sha256_of(files[0]))
        if locked is not None:
            _checked(locked, files[0])
        with new_file(out / found.file) as partial:
            files[0].replace(partial)
    return found


def _checked(locked: Locked, file: Path) -> Locked:
    if sha256_of(file) != locked.sha256:
        raise MismatchError(f"'{file.name}' does not have the SHA-256 that {LOCK_FILE} holds ({locked.sha256})")
    return locked


def _write_lock(path: Path, lock: dict[str, Locked]) -> None:
    packages = [asdict(lock[name]) for name in sorted(lock)]
    write_text(path, json.dumps({"version": 1, "packages": packages}, indent=1) + "\n")
