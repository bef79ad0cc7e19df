"""Models as Hugging Face directories: config.json, generation_config.json and safetensors, whole or in shards.

`transformers` loads what this writes, and this opens what `transformers` writes. Weights come from safetensors alone:
pickles run code when they are read, so they never are; `contract.weights_directory` checks all before any weight is used.
Knows nothing of the architecture: configuration and tensors go in and out, and a contract saves itself beside them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from starloom.contract import Contract
from starloom.contract.model_tensors import EMBEDDING, HEAD
from starloom.contract.weights_directory import CONFIG, INDEX, SINGLE, WeightsDirectory
from starloom.core.errors import FormatError, InputError, MismatchError, SettingsError
from starloom.core.files import new_folder
from starloom.model.config import StarCoder2Config
from starloom.model.tensors import DTYPES, widest

SHARD_BYTES = 5 * 10**9
"""Weights above this many bytes are split over several files, as `transformers` does."""

_GENERATION = "generation_config.json"
_OURS = re.compile(
    r"(config|generation_config|contract|tokenizer|tokenizer_config|special_tokens_map|vocab)\.json|merges\.txt"
    r"|model(-\d{5}-of-\d{5})?\.safetensors|model\.safetensors\.index\.json"
)


class ModelDirectory:
    """A directory opened for reading; `config` is checked at once, weights are read by `tensors`.

    Raises `InputError` when it is no model directory, `FormatError` or `SettingsError` when config.json is bad.
    """

    def __init__(self, path: Path) -> None:
        self._directory = WeightsDirectory(path)
        self.path, self.config = path, self._directory.config

    def tensors(self, shapes: Mapping[str, tuple[int, ...]], dtype: torch.dtype | None) -> dict[str, Tensor]:
        """All weights of the given names and shapes, in `dtype` (None: as stored, the widest when they differ).

        Weights that need no conversion stay mapped to the file, so that opening costs no second copy in memory.
        Raises `FormatError` that names the file and tensor at fault.
        """
        files = {tensor.file: None for tensor in self._directory.tensors(shapes).values()}
        tensors = {name: tensor for file in files for name, tensor in _read_file(file, dtype)}
        if self.config.tie_word_embeddings and HEAD in tensors and not torch.equal(tensors.pop(HEAD), tensors[EMBEDDING]):
            raise self._directory.wrong_head()
        stored = dtype or widest(tensors)
        return {name: tensor.to(stored) for name, tensor in tensors.items()}


def _read_file(path: Path, dtype: torch.dtype | None) -> Iterator[tuple[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118
                tensor: Tensor = file.get_tensor(name)
                yield name, tensor if dtype is None else tensor.to(dtype)
    except SafetensorError as error:
        raise FormatError(f"{path}: damaged or truncated safetensors file ({error})") from error


def save_model(
    config: StarCoder2Config,
    tensors: Mapping[str, Tensor],
    path: Path,
    *,
    contract: Contract | None = None,
    dtype: torch.dtype | None = None,
    shard_bytes: int = SHARD_BYTES,
    replace: bool = False,
) -> None:
    """Write a model directory in one step; on any error nothing of it remains.

    `dtype` None keeps the tensors' own. The contract's files stand beside the weights, and its stops go into
    generation_config.json. `replace` puts all in the place of an older model directory; one with files of other kinds
    raises `InputError`. Raises `MismatchError` for a contract with more tokens than the model.
    """
    if contract is not None and contract.tokenizer.vocab_size > config.vocab_size:
        raise MismatchError(f"the tokenizer has {contract.tokenizer.vocab_size} tokens, the model only {config.vocab_size}")
    if dtype is not None and dtype not in DTYPES.values():
        raise SettingsError(f"weights cannot be saved as {dtype}; known are {', '.join(DTYPES)}")
    if replace:
        _check_replaceable(path)
    stored = dtype or widest(tensors)
    name = next(name for name, candidate in DTYPES.items() if candidate == stored)
    with new_folder(path, replace=replace) as folder:
        _write_json(folder / CONFIG, config.to_json_dict() | {"dtype": name, "torch_dtype": name})
        _write_json(folder / _GENERATION, _generation(config, contract))
        _write_shards(folder, tensors, stored, shard_bytes)
        if contract is not None:
            contract.save(folder)


def _generation(config: StarCoder2Config, contract: Contract | None) -> dict[str, Any]:
    stops = sorted({config.eos_token_id, *(contract.stops if contract else ())})
    return {"bos_token_id": config.bos_token_id, "eos_token_id": stops if len(stops) > 1 else stops[0]}


def _check_replaceable(path: Path) -> None:
    if not path.exists():
        return
    if path.is_symlink() or not path.is_dir():
        raise InputError(f"'{path}' is not a directory: name another place")
    for entry in path.iterdir():
        if not _OURS.fullmatch(entry.name) or entry.is_dir():
            raise InputError(
                f"'{path}' holds '{entry.name}', which is not part of a model, and is not replaced: name another place"
            )


def _write_shards(folder: Path, tensors: Mapping[str, Tensor], dtype: torch.dtype, shard_bytes: int) -> None:
    shards = _plan(tensors, dtype, shard_bytes)
    places: dict[str, str] = {}
    for number, names in enumerate(shards, start=1):
        file = SINGLE if len(shards) == 1 else f"model-{number:05}-of-{len(shards):05}.safetensors"
        places |= dict.fromkeys(names, file)
        _write_safetensors(folder / file, {name: tensors[name].detach().to("cpu", dtype).contiguous() for name in names})
    if len(shards) > 1:
        total = sum(tensor.numel() for tensor in tensors.values()) * dtype.itemsize
        _write_json(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": places})


def _plan(tensors: Mapping[str, Tensor], dtype: torch.dtype, shard_bytes: int) -> list[list[str]]:
    """Names in order, a new shard whenever the next tensor would make one larger than `shard_bytes`."""
    shards: list[list[str]] = []
    room = 0
    for name, tensor in tensors.items():
        size = tensor.numel() * dtype.itemsize
        if not shards or size > room:
            shards.append([])
            room = shard_bytes
        shards[-1].append(name)
        room -= size
    return shards


def _write_safetensors(path: Path, tensors: dict[str, Tensor]) -> None:
    try:
        save_file(tensors, path, metadata={"format": "pt"})
        path.chmod(0o644)
    except SafetensorError as error:  # the library's own wrapping of a full disk, say
        raise OSError(f"{path.name} could not be written: {error}") from error


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")
