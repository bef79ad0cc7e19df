"""The registries that packages are fetched from, each through its own client: pip, npm, apt. One call downloads one package.

Nothing is installed, and no code of a package is run but by `pypi-source`: pip runs the build script of a source distribution to
learn its metadata. Source packages of Debian come with an index of their own, in a temporary folder, so that the machine's
configuration of apt stays as it is.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from starloom.core.errors import InputError

SECONDS = 1800
"""A client that takes longer is stopped; the package counts as failed."""

_PYTHON = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_DEBIAN = r"[a-z0-9][a-z0-9+.-]+"
_ORIGINS = frozenset({"Debian", "Ubuntu"})


@dataclass(frozen=True, slots=True)
class Registry:
    """What names look like, the ending of the file that stands for a package, and whether others come with it."""

    name: re.Pattern[str]
    ending: str
    has_parts: bool = False


REGISTRIES = {
    "pypi": Registry(re.compile(_PYTHON), ".whl"),
    "pypi-source": Registry(re.compile(_PYTHON), ".tar.gz"),
    "npm": Registry(re.compile(r"(?:@[a-z0-9~][a-z0-9._~-]*/)?[A-Za-z0-9~][A-Za-z0-9._~-]*"), ".tgz"),
    "debian": Registry(re.compile(_DEBIAN), ".dsc", has_parts=True),
    "debian-binary": Registry(re.compile(_DEBIAN), ".deb"),
}


class Downloads:
    """Downloads packages into folders. A context: it removes what its clients needed on the way."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._index: Path | None = None

    def __call__(self, registry: str, name: str, version: str | None, folder: Path) -> None:
        """Put the files of one package into `folder`. Raises `InputError` when its client fails or is not there."""
        clients: dict[str, Callable[[str, str | None, Path], None]] = {
            "pypi": self._wheel,
            "pypi-source": self._source_distribution,
            "npm": self._tarball,
            "debian": self._source_package,
            "debian-binary": self._binary_package,
        }
        clients[registry](name, version, folder.absolute())

    def _wheel(self, name: str, version: str | None, folder: Path) -> None:
        self._pip(name, version, folder, "--only-binary", ":all:")

    def _source_distribution(self, name: str, version: str | None, folder: Path) -> None:
        self._pip(name, version, folder, "--no-binary", name)

    def _pip(self, name: str, version: str | None, folder: Path, *options: str) -> None:
        wanted = f"{name}=={version}" if version else name
        quiet = ("--quiet", "--disable-pip-version-check", "--no-input", "--no-deps")
        _run([sys.executable, "-m", "pip", "download", *quiet, *options, "--dest", str(folder), wanted], folder, f"pip: {wanted}")

    def _tarball(self, name: str, version: str | None, folder: Path) -> None:
        wanted = f"{name}@{version}" if version else name
        _run(
            ["npm", "pack", wanted, "--ignore-scripts", "--loglevel=error", "--pack-destination", str(folder)],
            folder,
            f"npm: {wanted}",
        )

    def _binary_package(self, name: str, version: str | None, folder: Path) -> None:
        wanted = f"{name}={version}" if version else name
        _run(["apt-get", "download", "--quiet", wanted], folder, f"apt-get: {wanted}")

    def _source_package(self, name: str, version: str | None, folder: Path) -> None:
        wanted = f"{name}={version}" if version else name
        options = ("--quiet", "--download-only", "--only-source")
        _run(["apt-get", *_of_index(self._sources()), "source", *options, wanted], folder, f"apt-get: {wanted}")

    def _sources(self) -> Path:
        """The folder of an index of source packages, fetched when first asked for."""
        if self._index is None:
            folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="starloom-apt-")))
            for part in ("lists/partial", "archives/partial", "parts"):
                (folder / part).mkdir(parents=True)
            (folder / "own.sources").write_text(_source_stanzas())
            (folder / "parts" / "own.sources").write_text((folder / "own.sources").read_text())
            _run(["apt-get", *_of_index(folder), "update", "--quiet"], folder, "apt-get: the index of source packages")
            self._index = folder
        return self._index

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()


def _of_index(folder: Path) -> list[str]:
    values = {
        "Dir::Etc::SourceList": "/dev/null",
        "Dir::Etc::SourceParts": folder / "parts",
        "Dir::State::Lists": folder / "lists",
        "Dir::Cache": folder,
        "Dir::Cache::Archives": folder / "archives",
    }
    return [part for key, value in values.items() for part in ("-o", f"{key}={value}")]


def _source_stanzas() -> str:
    """The distribution's archives that the machine takes programs from, as places of source packages."""
    form = "$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(SIGNED_BY)"
    lines = _run(["apt-get", "indextargets", "--format", form, "Created-By: Packages"], Path("/"), "apt-get: its sources")
    stanzas = set()
    for line in lines.splitlines():
        origin, address, suite, component, key = line.split("|", 4)
        if origin in _ORIGINS:
            signed = f"Signed-By: {key}\n" if key.startswith("/") else ""
            stanzas.add(f"Types: deb-src\nURIs: {address}\nSuites: {suite}\nComponents: {component}\n{signed}")
    if not stanzas:
        raise InputError("apt-get knows no archive of Debian or Ubuntu: source packages need one, with  apt-get update  done")
    return "\n".join(sorted(stanzas))


def _run(command: list[str], folder: Path, what: str) -> str:
    """The output of a client. Raises `InputError` with what it complains of."""
    environment = os.environ | {"LC_ALL": "C", "npm_config_update_notifier": "false", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False
        )
    except FileNotFoundError as error:
        raise InputError(f"{what} cannot be fetched: the program '{command[0]}' was not found") from error
    except subprocess.TimeoutExpired as error:
        raise InputError(f"{what} cannot be fetched: no end after {SECONDS} seconds") from error
    if done.returncode:
        raise InputError(f"{what} cannot be fetched: {_complaint(done.stderr.decode('utf-8', 'replace'))}")
    return done.stdout.decode("utf-8", "replace")


def _complaint(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"ERROR|E:|npm (ERR!|error)", line)]
    return "; ".join(errors[:2]) if errors else (lines or ["no message"])[-1]
