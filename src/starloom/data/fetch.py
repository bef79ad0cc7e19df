"""Packages by name from PyPI, npm and Debian, with a lock file: the same list gives the same bytes later, or an error says so.

One package after the other; one that fails is reported and the rest goes on. What talks to the registries is `registries`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from starloom.core.errors import FormatError, InputError, MismatchError
from starloom.core.files import new_file, sha256_of, write_text
from starloom.core.progress import bar
from starloom.data.registries import REGISTRIES, Downloads
from starloom.data.sources.packages import package_name
from starloom.data.sources.rawfile import Limits
from starloom.data.sources.source import open_source

LOCK_FILE = "fetch.lock"
LOCK_VERSION = 2
_LINE = re.compile(r"(?:(?P<registry>[a-z-]+):)?(?P<name>[^=\s]+?)(?:==(?P<version>[A-Za-z0-9][A-Za-z0-9.!+_:~-]*))?")


@dataclass(frozen=True, slots=True)
class Locked:
    """One package of the lock file. `file` stands for it; `parts` are the files that belong to it, with their SHA-256."""

    name: str
    version: str
    file: str
    sha256: str
    registry: str = "pypi"
    parts: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What a list calls it: `npm:three`, and without a registry for PyPI's wheels."""
        return self.name if self.registry == "pypi" else f"{self.registry}:{self.name}"

    @property
    def hashes(self) -> dict[str, str]:
        """The SHA-256 of every file."""
        return {self.file: self.sha256} | self.parts


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a fetch gave: the packages that are there now, and the message of each that failed."""

    packages: tuple[Locked, ...]
    failed: dict[str, str]


Download = Callable[[str, str, str | None, Path], None]
"""Puts the files of one package (registry, name, version or None for the newest) into a folder; raises `InputError`."""


def fetch(names_file: Path, out: Path, download: Download | None = None) -> Fetched:
    """Fetch the packages that `names_file` lists into `out`.

    A line is `name`, `name==version`, either with a registry in front (`npm:three`, `debian:hello`), or a `#` comment.
    Raises `InputError` for a list that cannot be read, `FormatError` for a damaged lock, `MismatchError` when a file
    does not have the hash that the lock holds; files that are there already are kept.
    """
    wanted = read_names(names_file)
    lock = read_lock(out / LOCK_FILE)
    failed: dict[str, str] = {}
    out.mkdir(parents=True, exist_ok=True)
    with _client(download) as client, bar("fetching", len(wanted)) as progress:
        for key, version in wanted.items():
            progress.say(key)
            try:
                lock[key] = _fetch_one(key, version, lock, out, client)
                _write_lock(out / LOCK_FILE, lock)
            except MismatchError:
                raise
            except InputError as error:
                failed[key] = str(error)
            progress.advance()
    return Fetched(tuple(lock[key] for key in wanted if key in lock and key not in failed), failed)


@contextmanager
def _client(download: Download | None) -> Iterator[Download]:
    if download is not None:
        yield download
    else:
        with Downloads() as downloads:
            yield downloads


def read_names(path: Path) -> dict[str, str | None]:
    """Versions (None for the newest) by package, as `Locked.key` writes it, in order. Raises `InputError` that names the line."""
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
        registry = (match["registry"] or "pypi") if match else ""
        if match is None or registry not in REGISTRIES or not REGISTRIES[registry].name.fullmatch(match["name"]):
            known = ", ".join(f"{name}:" for name in REGISTRIES)
            raise InputError(f"{path}:{number}: '{text}' is not of the form name or name==version, with one of {known} in front")
        names[_key(registry, match["name"])] = match["version"]
    return names


def _key(registry: str, name: str) -> str:
    if registry.startswith("pypi"):
        name = re.sub(r"[-_.]+", "-", name).lower()
    return name if registry == "pypi" else f"{registry}:{name}"


def read_lock(path: Path) -> dict[str, Locked]:
    """The packages of a lock file; none when there is no file. Raises `FormatError`."""
    if not path.exists():
        return {}
    try:
        packages = [Locked(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))["packages"]]
        return {package.key: package for package in packages}
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"'{path}' is not a lock file that we wrote ({error}): remove it to fetch anew") from error


def _fetch_one(key: str, version: str | None, lock: dict[str, Locked], out: Path, download: Download) -> Locked:
    locked = lock.get(key)
    if locked is not None and version is not None and locked.version != version:
        raise MismatchError(f"'{key}=={version}' is asked for, but {LOCK_FILE} holds version {locked.version}: remove its entry")
    if locked is not None and all((out / file).is_file() for file in locked.hashes):
        return _checked(locked, out)
    registry, _, name = key.rpartition(":")
    with TemporaryDirectory(dir=out, prefix=".fetch-") as folder:
        download(registry or "pypi", name, locked.version if locked else version, Path(folder))
        found = _found(registry or "pypi", name, Path(folder))
        if locked is not None:
            found = _checked(locked, Path(folder))
        _check_free(found, lock)
        for file in found.hashes:
            with new_file(out / file) as partial:
                (Path(folder) / file).replace(partial)
    return found


def _found(registry: str, name: str, folder: Path) -> Locked:
    """What a client put into `folder`. Raises `InputError` when that is not one package."""
    files = sorted(file for file in folder.iterdir() if file.is_file())
    main = [file for file in files if file.name.endswith(REGISTRIES[registry].ending)]
    if len(main) != 1:
        raise InputError(f"{registry} gave {len(main)} files ending in {REGISTRIES[registry].ending} for '{name}', not one")
    parts = {file.name: sha256_of(file) for file in files if file != main[0] and REGISTRIES[registry].has_parts}
    return Locked(name, _version(main[0]), main[0].name, sha256_of(main[0]), registry, parts)


def _version(file: Path) -> str:
    if file.suffix == ".whl":
        return file.name.split("-")[1]
    return package_name(open_source(file), Limits())[1] or ""


def _check_free(found: Locked, lock: dict[str, Locked]) -> None:
    """Raise `InputError` when a file of another package has the same name and other content."""
    for other in lock.values():
        if other.key != found.key and any(other.hashes.get(file, digest) != digest for file, digest in found.hashes.items()):
            raise InputError(f"'{found.key}' has a file of the same name as '{other.key}', and another content")


def _checked(locked: Locked, folder: Path) -> Locked:
    for file, digest in locked.hashes.items():
        if not (folder / file).is_file():
            raise InputError(f"'{locked.key}' came without the file '{file}' that {LOCK_FILE} holds")
        if sha256_of(folder / file) != digest:
            raise MismatchError(f"'{file}' does not have the SHA-256 that {LOCK_FILE} holds ({digest})")
    return locked


def _write_lock(path: Path, lock: dict[str, Locked]) -> None:
    packages = [asdict(lock[key]) for key in sorted(lock)]
    write_text(path, json.dumps({"version": LOCK_VERSION, "packages": packages}, indent=1) + "\n")
