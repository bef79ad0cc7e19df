"""Debian packages on the disk: source packages (a `.dsc` with the tarballs that it names) and binary ones (`.deb`).

A source package is its upstream tarballs with the distribution's `debian/` beside them, as `dpkg-source --skip-patches`
lays them out: patches of `debian/patches` and of a `.diff.gz` are not applied. Nothing is unpacked to the disk.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from starloom.core.errors import InputError
from starloom.core.files import sha256_of
from starloom.data.sources.ar import read_ar
from starloom.data.sources.archives import naming_damage, read_tar, read_tar_file
from starloom.data.sources.compressed import Window, decompressed
from starloom.data.sources.rawfile import REPEATED_PATH, Limits, RawFile, refused

PATCH = "a patch, not applied"

_CONTROL_BYTES = 2**20
_SUM = re.compile(r"([0-9a-f]{64})\s+(\d+)\s+(\S+)")
_COMPONENT = re.compile(r"\.orig-([A-Za-z0-9-]+)\.tar\.")


@dataclass(frozen=True, slots=True)
class Control:
    """The name and version of a package, and for a source package its files with their SHA-256."""

    name: str
    version: str
    files: dict[str, str]


def read_dsc(path: Path) -> Control:
    """Read a `.dsc`. Raises `InputError` when it is not one."""
    with path.open("rb") as stream:
        fields = _fields(stream.read(_CONTROL_BYTES).decode("utf-8", "replace"))
    sums = {name: digest for digest, _, name in _SUM.findall(fields.get("checksums-sha256", ""))}
    if not fields.get("source") or not fields.get("version") or not sums:
        raise InputError(f"'{path}' is not a Debian source package: it lacks Source, Version or Checksums-Sha256")
    if bad := [name for name in sums if "/" in name or name.startswith(".")]:
        raise InputError(f"'{path}' is refused: the file name {bad[0]!r} inside it leads outside its folder")
    return Control(fields["source"], fields["version"], sums)


def read_source_package(path: Path, limits: Limits) -> Iterator[RawFile]:
    """Every file of the source package that the `.dsc` at `path` describes.

    Raises `InputError` for a file that is absent or does not have the hash that the `.dsc` gives.
    """
    control = read_dsc(path)
    for name, digest in control.files.items():
        _check(path.parent / name, digest, path)
    tarballs = [path.parent / name for name in control.files if ".tar." in name and not name.endswith(".asc")]
    has_own = any(".debian.tar." in tarball.name for tarball in tarballs)
    for tarball in sorted(tarballs, key=_rank):
        for file in read_tar_file(tarball, limits, strip_top=".debian.tar." not in tarball.name):
            yield _placed(file, tarball.name, has_own)
    for name in sorted(control.files):
        if name.endswith(".diff.gz"):
            yield refused(name, (path.parent / name).stat().st_size, PATCH)


def read_binary_package(path: Path, limits: Limits) -> Iterator[RawFile]:
    """Every file that the `.deb` at `path` would install. Raises `InputError`."""
    with naming_damage(path), path.open("rb") as stream:
        name, offset, size = _member(path, "data.tar")
        window = io.BufferedReader(Window(stream, offset, size))
        yield from read_tar(lambda: decompressed(window, name), path, size, limits)


def read_control(path: Path) -> Control:
    """Name and version of a `.deb`. Raises `InputError`."""
    with naming_damage(path), path.open("rb") as stream:
        name, offset, size = _member(path, "control.tar")
        window = io.BufferedReader(Window(stream, offset, size))
        for file in read_tar(lambda: decompressed(window, name), path, size, Limits()):
            if file.path == "control" and not file.refused and file.size <= _CONTROL_BYTES:
                fields = _fields(file.read().decode("utf-8", "replace"))
                return Control(fields.get("package") or path.stem, fields.get("version", ""), {})
    raise InputError(f"'{path}' is damaged: it has no control file")


def _member(path: Path, stem: str) -> tuple[str, int, int]:
    with path.open("rb") as stream:
        members = read_ar(stream, path)
    for name, (offset, size) in members.items():
        if name == stem or name.startswith(stem + "."):
            return name, offset, size
    raise InputError(f"'{path}' is damaged: it has no {stem}")


def _fields(text: str) -> dict[str, str]:
    """The first paragraph of a control file, names in lower case; around a signature the signed part."""
    if text.startswith("-----BEGIN PGP SIGNED"):
        text = text.partition("\n\n")[2]
    fields: dict[str, str] = {}
    last = ""
    for line in text.splitlines():
        if not line.strip():
            break
        if line[0] in " \t":
            fields[last] = fields.get(last, "") + "\n" + line.strip()
        else:
            last, _, value = line.partition(":")
            last = last.lower()
            fields[last] = value.strip()
    return fields


def _check(file: Path, digest: str, dsc: Path) -> None:
    if not file.is_file():
        raise InputError(f"'{dsc}' names the file '{file.name}', which is not beside it")
    if sha256_of(file) != digest:
        raise InputError(f"'{file}' is damaged: it does not have the SHA-256 that '{dsc.name}' gives")


def _rank(tarball: Path) -> tuple[int, str]:
    """Upstream first, then its components, then the distribution's part."""
    component, own = _COMPONENT.search(tarball.name), ".debian.tar." in tarball.name
    return (2 if own else 1 if component else 0, tarball.name)


def _placed(file: RawFile, tarball: str, has_own: bool) -> RawFile:
    if component := _COMPONENT.search(tarball):
        return RawFile(f"{component[1]}/{file.path}", file.size, file.read, file.refused)
    if has_own and ".debian.tar." not in tarball and file.path.startswith("debian/"):
        return refused(file.path, file.size, REPEATED_PATH)
    return file
