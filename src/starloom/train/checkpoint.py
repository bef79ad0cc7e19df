"""Checkpoints of a run: `checkpoints/step-00000500/` with weights, optimizer state and a small `state.json`.

A checkpoint appears in one rename, so the newest folder is always whole; the newest few are kept. Nothing is pickled.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from starloom.core.errors import FormatError, InputError
from starloom.core.files import new_folder
from starloom.model.starcoder2 import StarCoder2
from starloom.train.optimizer import Optimizer

_FORMAT = "starloom-checkpoint"
_VERSION = 1


@dataclass(frozen=True)
class State:
    """What a run must know beside the tensors: steps done, tokens seen, its settings and its tokenizer's fingerprint."""

    step: int
    tokens: int
    settings: dict[str, Any]
    tokenizer: str


def save(folder: Path, model: StarCoder2, optimizer: Optimizer, state: State, *, keep: int) -> Path:
    """Write the checkpoint of `state.step` below `folder` and remove all but the newest `keep`."""
    path = folder / f"step-{state.step:08d}"
    with new_folder(path, replace=True) as partial:
        save_file({name: tensor.contiguous() for name, tensor in _weights(model).items()}, partial / "weights.safetensors")
        save_file(optimizer.state_tensors(), partial / "optimizer.safetensors")
        (partial / "state.json").write_text(json.dumps({"format": _FORMAT, "version": _VERSION, **vars(state)}, indent=1))
    for old in _all(folder)[:-keep]:
        shutil.rmtree(old)
    return path


def newest(folder: Path) -> Path | None:
    """The newest checkpoint below `folder`; clears away what a killed run left half-written."""
    for partial in folder.glob(".*.partial"):
        shutil.rmtree(partial, ignore_errors=True)
    return next(reversed(_all(folder)), None)


def is_checkpoint(path: Path) -> bool:
    """Whether `path` is a checkpoint's folder, rather than a model directory or file."""
    return (path / "state.json").is_file()


def read_state(path: Path) -> State:
    """The `State` of the checkpoint at `path`. Raises `InputError`, `FormatError`."""
    try:
        values = json.loads((path / "state.json").read_text())
        if (values.pop("format"), values.pop("version")) != (_FORMAT, _VERSION):
            raise FormatError(f"'{path}' is not a checkpoint of version {_VERSION}")
        return State(**values)
    except FileNotFoundError as error:
        raise InputError(f"'{path}' is not a checkpoint: it holds no state.json") from error
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(
            f"'{path / 'state.json'}' is damaged ({error}): remove this checkpoint to go on from the one before"
        ) from error


def load(path: Path, model: StarCoder2, optimizer: Optimizer) -> None:
    """Put the checkpoint's weights and optimizer state into `model` and `optimizer`. Raises `FormatError`."""
    try:
        model.load_state_dict(load_file(path / "weights.safetensors"), strict=True)
        optimizer.load_state_tensors(load_file(path / "optimizer.safetensors"))
    except (SafetensorError, OSError, RuntimeError, KeyError, ValueError) as error:
        raise FormatError(f"the checkpoint '{path}' is damaged ({error}): remove it to go on from the one before") from error


def _weights(model: StarCoder2) -> dict[str, torch.Tensor]:
    return dict(model.state_dict())


def _all(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"))
