"""Files of `.zip`, `.whl` and `.tar.*` archives, read in place: nothing is ever unpacked to the disk.

The headers are read first, so that a bomb, a name that leads outside or a damaged archive is refused before a document
has been taken from it. Knows nothing of what the files mean.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from starloom.core.errors import InputError
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
TAR_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
UNSUPPORTED = (".tar.zst", ".tzst", ".tar.lz4", ".tar.lz", ".7z", ".rar", ".egg", ".deb", ".rpm", ".gz", ".bz2", ".xz")

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


def read_archive(path: Path, limits: Limits) -> Iterator[RawFile]:
    """Every file of an archive, in the archive's order.

    Raises `InputError` for an archive that is damaged, encrypted, too large when unpacked, or that names places outside itself.
    """
    reader = _read_zip if path.name.lower().endswith(ZIP_ENDINGS) else _read_tar
    with _naming_damage(path):
        yield from reader(path, limits)


@contextmanager
def _naming_damage(path: Path) -> Iterator[None]:
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
        with _naming_damage(path):
            return read()

    return guarded


def _read_zip(path: Path, limits: Limits) -> Iterator[RawFile]:
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        check_bomb(path, path.stat().st_size, sum(member.file_size for member in members), len(members), limits)
        names = [check_inside(member.filename, path) for member in members]
        if any(member.flag_bits & 1 for member in members):
            raise InputError(f"'{path}' is encrypted: give an archive without a password")
        last = {name: place for place, name in enumerate(names)}
        for place, (name, member) in enumerate(zip(names, members, strict=True)):
            yield _zip_file(archive, member, name, path, repeated=last[name] != place)


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


def _read_tar(path: Path, limits: Limits) -> Iterator[RawFile]:
    with _decompressed(path) as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
        members = [member for member in _tar_members(archive, path, limits) if not member.isdir()]
        _check_end(stream, path)
        names = [check_inside(member.name, path) for member in members]
        last = {name: place for place, name in enumerate(names)}
        for place, (name, member) in enumerate(zip(names, members, strict=True)):
            yield _tar_file(archive, member, name, path, repeated=last[name] != place)


def _decompressed(path: Path) -> gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile | IO[bytes]:
    name = path.name.lower()
    if name.endswith(("gz", "tgz")):
        return gzip.open(path)
    if name.endswith("bz2"):
        return bz2.open(path)
    if name.endswith("xz"):
        return lzma.open(path)
    return path.open("rb")


def _tar_members(archive: tarfile.TarFile, path: Path, limits: Limits) -> Iterator[tarfile.TarInfo]:
    """The headers, counted while they are read: a bomb stops at the limit, not at its end."""
    packed, unpacked = path.stat().st_size, 0
    for count, member in enumerate(archive, start=1):
        unpacked += member.size
        check_bomb(path, packed, unpacked, count, limits)
        yield member


def _check_end(stream: gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile | IO[bytes], path: Path) -> None:
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
