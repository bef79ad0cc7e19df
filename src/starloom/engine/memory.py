"""Memory for weights: how much there is, and large pieces of it. Knows nothing of what lies in it."""

from __future__ import annotations

import contextlib
import mmap
import os
from pathlib import Path

import numpy as np

from starloom.core.errors import InputError
from starloom.engine.layouts import U8

HUGE = 2 * 2**20
"""The size of a huge page: with these, reading gigabytes in a row does not wait for address translation."""


def available_memory() -> int | None:
    """Bytes that can be used without swapping; None where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return None
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def allocate(num_bytes: int, what: str) -> U8:
    """Zeroed memory at a multiple of 2 MiB, in huge pages where there are any.

    Raises `InputError` that names `what` when there is less than that.
    """
    available = available_memory()
    if available is not None and num_bytes > available:
        raise InputError(
            f"{what} needs {gigabytes(num_bytes)} of memory; {gigabytes(available)} are free: free some, or use "
            "a smaller model or fewer bits (--quant q4)"
        )
    try:
        area = mmap.mmap(-1, num_bytes + HUGE)
    except (OSError, ValueError, OverflowError, MemoryError) as error:
        raise InputError(f"{what} needs {gigabytes(num_bytes)} of memory, which the system does not give ({error})") from None
    data = np.frombuffer(area, np.uint8)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without huge pages
            area.madvise(mmap.MADV_HUGEPAGE)
    start = -data.ctypes.data % HUGE
    return data[start : start + num_bytes]


def gigabytes(num_bytes: int) -> str:
    """`num_bytes` for people."""
    return f"{num_bytes / 1e9:.2f} GB" if num_bytes >= 1e8 else f"{num_bytes / 1e6:.1f} MB"
