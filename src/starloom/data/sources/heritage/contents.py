"""Contents of Software Heritage by hash: `content/<sha1>`, gzip, on S3 or in a folder; checked against that hash.

Several are fetched at a time, and they come in the order in which they were asked for.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from starloom.core.errors import InputError, require
from starloom.data.sources.record import DAMAGED, MISSING, TOO_LARGE, ReadSettings, Record

_SHA1 = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A record without its content, and the SHA-1 of that; a record that is refused already needs none."""

    record: Record
    sha1: str


def fetch(wanted: Iterable[Wanted], url: str, settings: ReadSettings) -> Iterator[Record]:
    """The records with their contents, or with the reason why they have none. Raises `InputError` when the store fails."""
    fsspec = require("fsspec", "data")
    try:
        filesystem, root = fsspec.core.url_to_fs(url)
    except (OSError, ValueError) as error:
        raise InputError(f"'{url}' is no place that holds contents: {error}") from error

    def read(item: Wanted) -> Record:
        return _fetched(item, lambda end: filesystem.cat_file(f"{root.rstrip('/')}/{item.sha1}", start=0, end=end), settings)

    waiting: deque[Future[Record]] = deque()
    with ThreadPoolExecutor(settings.workers) as pool:
        try:
            for item in wanted:
                waiting.append(pool.submit(read, item))
                if len(waiting) >= 2 * settings.workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _fetched(item: Wanted, read: Callable[[int], bytes], settings: ReadSettings) -> Record:
    record = item.record
    if record.refused not in (None, MISSING):
        return record
    if not _SHA1.fullmatch(item.sha1):
        return replace(record, content=None, refused=MISSING, detail="no SHA-1")
    try:
        packed = read(settings.max_file_bytes + 1)
    except FileNotFoundError:
        return replace(record, content=None, refused=MISSING, detail=item.sha1)
    except OSError as error:
        raise InputError(f"the content {item.sha1} cannot be fetched: {error}") from error
    return _unpacked(record, packed, item.sha1, settings.max_file_bytes)


def _unpacked(record: Record, packed: bytes, sha1: str, most: int) -> Record:
    """The record with the content that `packed` holds, checked; never more than `most` bytes are unpacked."""
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        content = unpack.decompress(packed, most + 1)
    except zlib.error as error:
        return replace(record, content=None, refused=DAMAGED, detail=f"{sha1}: {error}")
    if len(packed) > most or len(content) > most:
        return replace(record, content=None, refused=TOO_LARGE, detail=sha1)
    if not unpack.eof or hashlib.sha1(content, usedforsecurity=False).hexdigest() != sha1:
        return replace(record, content=None, refused=DAMAGED, detail=f"{sha1}: not the content with this hash")
    return replace(record, content=content, size=len(content), refused=None)
