"""The one error tree.

    StarloomError (a ValueError)          the user can put it right; the command line prints it and exits with 1
    +-- SettingsError                     an unknown field, a wrong type, a value outside its range
    +-- InputError                        a file or position that is missing, empty, binary, not text, out of range
    +-- FormatError                       a file of ours or of a peer's format that is damaged or of another kind
    +-- MismatchError                     two good files that do not belong together (tokenizer and shard, say)
    +-- MissingExtraError                 a part of the package that is not installed
    +-- TrainingError                     a run that cannot go on (a NaN loss, say)
    +-- PipelineError                     a data run that cannot go on (a full disk, a worker that dies, say)
    +-- BusyError                         more requests than there is room for; the same request may work later
    +-- EngineError                       a request that the engine could not finish: it was closed, or the model failed

A message says what was wrong, names the value, and says what would work. Our own mistakes are `assert`s.
"""

from __future__ import annotations

import importlib
from types import ModuleType


class StarloomError(ValueError):
    """The root: something that the user can put right."""


class SettingsError(StarloomError):
    """A setting that does not exist or has a wrong value."""


class InputError(StarloomError):
    """An input file or position that cannot be used."""


class FormatError(StarloomError):
    """A file that is damaged, truncated, or not of the expected format."""


class MismatchError(StarloomError):
    """Two files that are each good but do not belong together."""


class TrainingError(StarloomError):
    """A training run that cannot go on."""


class PipelineError(StarloomError):
    """A run of the data pipeline that cannot go on."""


class BusyError(StarloomError):
    """There are too many requests already; the same one may work later."""


class EngineError(StarloomError):
    """A request that the engine could not finish."""


class MissingExtraError(StarloomError):
    """A library that an extra of the package installs is absent."""

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(f"this needs the Python module '{module}', which is not installed: run  pip install 'starloom[{extra}]'")


def require(module: str, extra: str) -> ModuleType:
    """Import `module`, or say which extra installs it. Raises `MissingExtraError`."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise MissingExtraError(module, extra) from error
