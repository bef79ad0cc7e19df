"""Memory that a training step frees is kept for the next one.

A step allocates and frees the same few hundred MiB again and again. glibc gives blocks of that size back to the kernel at
once, so that each step pays anew for some hundred thousand page faults: about a tenth of its time (`docs/log.md`). Elsewhere
than on glibc nothing is done.
"""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # names of malloc.h
_MOST = 2**31 - 1
_PAD = 256 * 2**20


def keep_freed() -> bool:
    """Let this process keep what it frees, from here on; False where there is no `mallopt`."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, _MOST) and mallopt(_TOP_PAD, _PAD))
