"""Where Starloom keeps what it can make again: STARLOOM_CACHE, or the system's own place for such files."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """The folder; it may not exist yet."""
    if chosen := os.environ.get("STARLOOM_CACHE"):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "starloom" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "starloom"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "starloom"
