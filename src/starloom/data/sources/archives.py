"""Files of `.zip`, `.whl` and `.tar.*` archives, read in place: nothing is ever unpacked to the disk.

The headers are read first, so that a bomb, a name that leads outside or a damaged archive is refused before a document
has been taken from it. Knows nothing of what the files mean.
"""

from __future__ import annotations

import errno
import gzip
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from starloom.core.errors import InputError
from starloom.data.sources.compressed import decompressed
from starloom.data.sources.rawfile import (
    LINK,
    NOT_REGULAR,
    REPEATED_PATH,
    UNUSABLE_PATH,
    Limits,
    RawFile,
    check_bomb,
    check_inside,
    is_unusable,
    refused,
)

ZIP_ENDINGS = (".zip", ".whl")
TAR_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst")
UNSUPPORTED = (".tar.lz4", ".tar.lz", ".7z", ".rar", ".egg", ".rpm", ".gz", ".bz2", ".xz", ".zst")

_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    gzip.BadGzipFile,
    struct.error,
    EOFError,
    RuntimeError,
    OverflowError,
    ValueError,
)
_SEEK_ERRORS = (None, errno.EINVAL)  # bz2 reports damage without a number; a damaged offset leads before the file's start


def ending_of(path: Path) -> str | None:
    """The ending that makes `path` an archive that we read (`.tar.gz`, `.whl` ...), or None."""
    name = path.name.lower()
    found = [ending for ending in (*ZIP_ENDINGS, *TAR_ENDINGS) if name.endswith(ending)]
    return max(found, key=len, default=None)


def read_archive(path: Path, limits: Limits, *, strip_top: bool = False) -> Iterator[RawFile]:
    """Every file of an archive, in the archive's order; with `strip_top` without the one folder around everything.

    Raises `InputError` for an archive that is damaged, encrypted, too large when unpacked, or that names places outside itself.
    """
    if path.name.lower().endswith(ZIP_ENDINGS):
        with naming_damage(path):
            yield from _read_zip(path, limits, strip_top)
    else:
        yield from read_tar_file(path, limits, strip_top=strip_top)


def read_tar_file(path: Path, limits: Limits, *, strip_top: bool = False) -> Iterator[RawFile]:
    """Every file of a tar archive, compressed as its name says. Raises `InputError` as `read_archive` does."""
    with naming_damage(path), path.open("rb") as stream:
        yield from read_tar(lambda: decompressed(stream, path.name), path, path.stat().st_size, limits, strip_top=strip_top)


@contextmanager
def naming_damage(path: Path) -> Iterator[None]:
    """Damage that a library meets becomes an `InputError` that names the archive."""
    try:
        yield
    except InputError:
        raise
    except (*_DAMAGE, OSError) as error:
        if isinstance(error, OSError) and not isinstance(error, _DAMAGE) and error.errno not in _SEEK_ERRORS:
            raise
        message = f"'{path}' is damaged or not the archive that its name says: {str(error) or type(error).__name__}"
        raise InputError(message) from error


def _guarded(path: Path, read: Callable[[], bytes]) -> Callable[[], bytes]:
    """`read` with damage named as well: a member is read long after its archive was opened."""

    def guarded() -> bytes:
        with naming_damage(path):
            return read()

    return guarded


def _read_zip(path: Path, limits: Limits, strip_top: bool) -> Iterator[RawFile]:
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        check_bomb(path, path.stat().st_size, sum(member.file_size for member in members), len(members), limits)
        if any(member.flag_bits & 1 for member in members):
            raise InputError(f"'{path}' is encrypted: give an archive without a password")
        names, last = _names([member.filename for member in members], path, strip_top)
        for place, (name, member) in enumerate(zip(names, members, strict=True)):
            yield _zip_file(archive, member, name, path, repeated=last[name] != place)


def _names(stored: list[str], path: Path, strip_top: bool) -> tuple[list[str], dict[str, int]]:
    """The members' paths, and the place at which each stands last."""
    names = [check_inside(name, path) for name in stored]
    if strip_top:
        top = top_folder(names)
        names = [name[len(top) :] for name in names]
    return names, {name: place for place, name in enumerate(names)}


def top_folder(paths: Iterable[str]) -> str:
    """The one folder that holds all paths, with its `/`; empty when there is none."""
    tops = {path.partition("/")[0] if "/" in path else "" for path in paths}
    return tops.pop() + "/" if len(tops) == 1 and "" not in tops else ""


def _zip_file(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, path: Path, *, repeated: bool) -> RawFile:
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return refused(name, 0, LINK)
    if kind not in (0, stat.S_IFREG):
        return refused(name, 0, NOT_REGULAR)
    if reason := _name_problem(name, repeated):
        return refused(name, member.file_size, reason)
    return RawFile(name, member.file_size, _guarded(path, lambda: archive.read(member)))


def _name_problem(name: str, repeated: bool) -> str | None:
    if is_unusable(name) or not name:
        return UNUSABLE_PATH
    return REPEATED_PATH if repeated else None


def read_tar(
    open_stream: Callable[[], IO[bytes]], path: Path, packed: int, limits: Limits, *, strip_top: bool = False
) -> Iterator[RawFile]:
    """Every file of the plain tar archive that `open_stream` gives, part or whole of the file `path` (`packed` bytes there)."""
    with open_stream() as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
        members = [member for member in _tar_members(archive, path, packed, limits) if not member.isdir()]
        _check_end(stream, path)
        names, last = _names([member.name for member in members], path, strip_top)
        for place, (name, member) in enumerate(zip(names, members, strict=True)):
            yield _tar_file(archive, member, name, path, repeated=last[name] != place)


def _tar_members(archive: tarfile.TarFile, path: Path, packed: int, limits: Limits) -> Iterator[tarfile.TarInfo]:
    """The headers, counted while they are read: a bomb stops at the limit, not at its end."""
    unpacked = 0
    for count, member in enumerate(archive, start=1):
        unpacked += member.size
        check_bomb(path, packed, unpacked, count, limits)
        yield member


def _check_end(stream: IO[bytes], path: Path) -> None:
    """Read on to the end of the compressed stream, so that its checksum is checked; padding after the last file is short."""
    for _ in range(64):
        if not stream.read(2**16):
            return
    raise InputError(f"'{path}' is refused: more than 4 MB follow the end of the archive inside it")


def _tar_file(archive: tarfile.TarFile, member: tarfile.TarInfo, name: str, path: Path, *, repeated: bool) -> RawFile:
    if member.issym() or member.islnk():
        return refused(name, 0, LINK)
    if not member.isreg():
        return refused(name, 0, NOT_REGULAR)
    if reason := _name_problem(name, repeated):
        return refused(name, member.size, reason)

    def read() -> bytes:
        stream = archive.extractfile(member)
        assert stream is not None, "a regular member has content"
        return stream.read()

    return RawFile(name, member.size, _guarded(path, read))
