"""Opens the model files that the engine runs, without PyTorch: Hugging Face directories and GGUF, both memory-mapped.

Checks are `contract`'s, the same for every reader. Knows nothing of how weights are packed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starloom.contract.gguf_model import GgufFile
from starloom.contract.model_config import StarCoder2Config
from starloom.contract.model_tensors import EMBEDDING, HEAD, published_shapes
from starloom.contract.weights_directory import CONFIG, INDEX, WeightsDirectory
from starloom.core.errors import FormatError, InputError
from starloom.engine.layouts import BLOCK
from starloom.engine.stored import KIND_OF, Stored

_ROWS = 4096  # compared at once


@dataclass(frozen=True)
class Source:
    """A model opened for reading: its tensors by published name, and the files that they come from."""

    path: Path
    config: StarCoder2Config
    tensors: dict[str, Stored]
    files: tuple[Path, ...]


def open_source(path: str | os.PathLike[str]) -> Source:
    """Open the model at `path`, a directory or a GGUF file.

    Raises `InputError` when there is none, `FormatError` when it is damaged or holds what the engine does not run.
    """
    path = Path(path)
    source = _gguf(path) if path.is_file() else _directory(path)
    check_sizes(source.config, f"'{path}'")
    for name, tensor in source.tensors.items():
        if tensor.format not in KIND_OF:
            raise FormatError(f"'{path}': tensor '{name}' is stored as {tensor.format}; known are {', '.join(KIND_OF)}")
    return source


def check_sizes(config: StarCoder2Config, where: str) -> None:
    """Raise `FormatError` when rows are no whole number of blocks."""
    for name, size in (("hidden_size", config.hidden_size), ("intermediate_size", config.intermediate_size)):
        if size % BLOCK:
            raise FormatError(f"{where}: {name} is {size}; the engine runs models where it is a multiple of {BLOCK}")


def files_of(path: Path) -> tuple[Path, ...]:
    """The files whose change changes the model at `path`. Raises `InputError` when there is no model."""
    if path.is_file():
        return (path,)
    if not path.is_dir():
        raise InputError(f"there is no model directory or .gguf file at '{path}'")
    return tuple(sorted(file for file in path.iterdir() if file.name in (CONFIG, INDEX) or file.suffix == ".safetensors"))


def _gguf(path: Path) -> Source:
    file = GgufFile(path)
    tensors = file.tensors(published_shapes(file.config))
    stored = {name: Stored(name, tensor.kind.name, tensor.shape, tensor.data) for name, tensor in tensors.items()}
    return Source(path, file.config, stored, files_of(path))


def _directory(path: Path) -> Source:
    directory = WeightsDirectory(path)
    stored = {}
    for name, tensor in directory.tensors(published_shapes(directory.config)).items():
        data = np.frombuffer(tensor.data, np.uint8)
        stored[name] = Stored(name, tensor.dtype, tensor.shape, data.reshape(*tensor.shape[:-1], -1))
    if directory.config.tie_word_embeddings and HEAD in stored and not _equal(stored.pop(HEAD), stored[EMBEDDING]):
        raise directory.wrong_head()
    return Source(path, directory.config, stored, files_of(path))


def _equal(one: Stored, other: Stored) -> bool:
    starts = range(0, one.shape[0], _ROWS)
    return all(
        np.array_equal(one.rows(start, start + _ROWS).floats(), other.rows(start, start + _ROWS).floats()) for start in starts
    )
