"""Where compiled code is kept: in the run's own folder, and only from processes that lived to use it.

A process killed while the compiler writes leaves a shared library cut short, which every later run would trip over.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_WHOLE = "whole"


def use_cache(folder: Path) -> None:
    """Keep compiled code in `folder` from here on; what an interrupted process left there is removed."""
    if not (folder / _WHOLE).exists():
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder.resolve())


def mark_whole(folder: Path) -> None:
    """Say that everything has been compiled and used once."""
    (folder / _WHOLE).touch()
