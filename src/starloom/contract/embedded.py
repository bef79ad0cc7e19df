"""Where the model that ships inside the package is. Knows its place, not what is in it."""

from __future__ import annotations

from pathlib import Path

from starloom.core.errors import InputError

_FOLDER = Path(__file__).parent.parent / "embedded"


def embedded_model(folder: Path = _FOLDER) -> Path:
    """The path of the embedded GGUF model. Raises `InputError` when this build has none, or more than one."""
    found = sorted(folder.glob("*.gguf"))
    if len(found) != 1:
        what = "no model is" if not found else f"{len(found)} models are"
        raise InputError(f"{what} embedded in this build of Starloom: name one with --model")
    return found[0]
