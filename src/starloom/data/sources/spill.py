"""Values grouped by a key when they do not fit into memory: written to bucket files by the hash of the key, read back one
bucket at a time. The same values in the same order give the same groups in the same order.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import IO, Any, Self

from starloom.data.sources.record import ReadSettings


class Groups:
    """Add values (anything that JSON holds) under keys, then iterate once over (key, values in the order of adding)."""

    def __init__(self, settings: ReadSettings) -> None:
        self._stack = ExitStack()
        folder = self._stack.enter_context(TemporaryDirectory(dir=settings.scratch, prefix="starloom-groups-"))
        paths = [Path(folder) / f"{number:05d}.jsonl" for number in range(settings.buckets)]
        self._files: list[IO[str]] = [
            self._stack.enter_context(path.open("w+", encoding="ascii", buffering=2**16)) for path in paths
        ]

    def add(self, key: str, value: Any) -> None:
        """Append `value` to the group of `key`."""
        digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        self._files[int.from_bytes(digest) % len(self._files)].write(json.dumps([key, value]) + "\n")

    def __iter__(self) -> Iterator[tuple[str, list[Any]]]:
        for file in self._files:
            file.seek(0)
            groups: dict[str, list[Any]] = {}
            for line in file:
                key, value = json.loads(line)
                groups.setdefault(key, []).append(value)
            for key in sorted(groups):
                yield key, groups.pop(key)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()
