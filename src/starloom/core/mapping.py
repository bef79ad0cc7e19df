"""Files as memory, read-only, in huge pages where the file system caches them so. Knows nothing of what is in them.

A file that another program cuts short while it is mapped takes the process down: replace files of models by renaming, as
`core.files` does, and never write into them.
"""

from __future__ import annotations

import contextlib
import mmap
from pathlib import Path

from starloom.core.errors import InputError


def mapped(path: Path) -> memoryview:
    """The bytes of a file that exists; an empty one gives none. Raises `InputError` when the system does not map it."""
    with path.open("rb") as stream:
        size = path.stat().st_size
        if size == 0:
            return memoryview(b"")
        try:
            area = mmap.mmap(stream.fileno(), size, access=mmap.ACCESS_READ)
        except (OSError, ValueError, OverflowError, MemoryError) as error:
            raise InputError(
                f"'{path}' needs {size / 1e9:.2f} GB of address space to be mapped, which the system does not give ({error}): "
                "raise the limit (ulimit -v), or free some"
            ) from error
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without huge pages
            area.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(area)
