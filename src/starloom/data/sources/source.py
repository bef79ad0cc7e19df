"""What a source is, what its repository is called, and its files: the one door to folders, archives and git repositories.

Each source is one repository: a folder that holds many archives is not expanded, name the archives one by one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from starloom.core.errors import InputError
from starloom.data.sources.archives import UNSUPPORTED, ZIP_ENDINGS, ending_of, read_archive
from starloom.data.sources.debian import read_binary_package, read_control, read_dsc, read_source_package
from starloom.data.sources.folders import read_folder
from starloom.data.sources.git import commit_of, git_folder, read_git, remote_name
from starloom.data.sources.rawfile import Limits, RawFile

_VERSION = re.compile(r"[-_]v?\d")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a repository comes from. `name` and `version` are what can be told without reading its files.

    `version` is a git repository's commit, in full.
    """

    path: Path
    kind: Literal["folder", "archive", "git", "dsc", "deb"]
    name: str
    version: str | None

    def files(self, limits: Limits | None = None, *, strip_top: bool = False) -> Iterator[RawFile]:
        """Every file of the source, always in the same order; `strip_top` as for archives (see `read_archive`).

        Raises `InputError` when the source cannot be read.
        """
        limits = limits or Limits()
        if self.kind == "folder":
            return read_folder(self.path)
        if self.kind == "git":
            assert self.version is not None
            return read_git(self.path, limits, self.version)
        if self.kind == "archive":
            return read_archive(self.path, limits, strip_top=strip_top)
        return (read_source_package if self.kind == "dsc" else read_binary_package)(self.path, limits)

    @property
    def has_top_folder(self) -> bool:
        """Whether a single folder around all files is packing and not part of their paths (source archives)."""
        return self.kind == "archive" and not self.path.name.lower().endswith(".whl")


def open_source(path: Path, revision: str = "HEAD") -> Source:
    """Tell what `path` is; `revision` is for git alone. Raises `InputError` when it is missing or nothing that we can read."""
    if path.is_dir():
        if git_folder(path):
            return Source(path, "git", remote_name(path) or _folder_name(path), commit_of(path, revision))
        return Source(path, "folder", _folder_name(path), None)
    if not path.exists():
        raise InputError(f"there is no source at '{path}'")
    if not path.is_file():
        raise InputError(f"'{path}' is neither a folder nor a regular file")
    if path.name.lower().endswith((".dsc", ".deb")):
        kind: Literal["dsc", "deb"] = "dsc" if path.name.lower().endswith(".dsc") else "deb"
        control = read_dsc(path) if kind == "dsc" else read_control(path)
        return Source(path, kind, control.name, control.version)
    ending = ending_of(path)
    if ending is None:
        raise InputError(f"'{path}' is not a source: {_what_works(path)}")
    name, version = _split_name(path.name[: -len(ending)], wheel=ending == ".whl")
    return Source(path, "archive", name, version)


def read(source: Path, limits: Limits | None = None) -> Iterator[RawFile]:
    """Every file of the folder, archive or git repository at `source`. Raises `InputError`."""
    return open_source(source).files(limits)


def _folder_name(path: Path) -> str:
    return path.resolve().name.removesuffix(".git") or "root"


def _what_works(path: Path) -> str:
    if path.name.lower().endswith(UNSUPPORTED):
        return f"this kind of archive is not read, repack it as .tar.gz or {ZIP_ENDINGS[0]}"
    return (
        "give a folder, a git repository, an archive (.zip, .whl, .tar, .tar.gz, .tar.bz2, .tar.xz, .tar.zst) "
        "or a Debian package (.dsc, .deb)"
    )


def _split_name(stem: str, *, wheel: bool) -> tuple[str, str | None]:
    """`name-1.2.3` in name and version; a wheel's name ends at its first dash."""
    if wheel and stem.count("-") >= 4:
        name, version = stem.split("-")[:2]
        return name, version
    found = list(_VERSION.finditer(stem))
    if not found or not found[0].start():
        return stem, None
    cut = found[0].start()
    return stem[:cut], stem[cut + 1 :]
