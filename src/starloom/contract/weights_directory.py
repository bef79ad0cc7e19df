"""Models as Hugging Face directories, as far as every reader needs them: configuration, files, where each tensor lies.

Weights come from safetensors alone: pickles run code when they are read, so they never are. Names, shapes and dtypes are
checked here, before any weight is used. Knows nothing of what is done with the numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starloom.contract.model_config import StarCoder2Config
from starloom.contract.model_tensors import EMBEDDING, HEAD, Shapes, check_shapes
from starloom.core.errors import FormatError, InputError, SettingsError
from starloom.core.safetensors_header import SafetensorsEntry, read_safetensors

CONFIG, SINGLE, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
_STORED = ("F32", "F16", "BF16")


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in one of the files: its dtype ("F32", "F16", "BF16"), its shape, and its bytes, mapped."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    data: memoryview


class WeightsDirectory:
    """A directory opened for reading; `config` is checked at once, the weights' files by `tensors`.

    Raises `InputError` when it is no model directory, `FormatError` or `SettingsError` when config.json is bad.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise InputError(f"there is no model directory or .gguf file at '{path}'")
        if not (path / CONFIG).is_file():
            raise InputError(f"'{path}' is not a model directory: it has no {CONFIG}")
        self.path = path
        try:
            self.config = StarCoder2Config.from_json_dict(_read_json(path / CONFIG))
        except SettingsError as error:
            raise SettingsError(f"{path / CONFIG}: {error}") from error

    def tensors(self, shapes: Shapes) -> dict[str, StoredTensor]:
        """All weights, which must have the given names and shapes; a tied head that is stored nevertheless is among them.

        Raises `FormatError` that names the file and tensor at fault.
        """
        places = self.places()
        found: dict[str, StoredTensor] = {}
        for file in dict.fromkeys(places.values()):
            found |= self._tensors_in(file, places)
        tied_copy = self.config.tie_word_embeddings and HEAD in found
        wanted = {**shapes, HEAD: shapes[EMBEDDING]} if tied_copy else shapes
        check_shapes({name: tensor.shape for name, tensor in found.items()}, wanted, self.path)
        return found

    def wrong_head(self) -> FormatError:
        """What to raise when the head that is stored is not the embedding that the configuration ties it to."""
        return FormatError(
            f"{self.path}: '{HEAD}' differs from '{EMBEDDING}', but the configuration ties them: "
            "set tie_word_embeddings to false, or remove the tensor"
        )

    def places(self) -> dict[str, str]:
        """Every tensor's name and the file it is in."""
        single, index = self.path / SINGLE, self.path / INDEX
        if single.exists() and index.exists():
            raise FormatError(f"{self.path}: has both {SINGLE} and {INDEX}: remove the one that is out of date")
        if single.exists():
            return dict.fromkeys(read_safetensors(single).tensors, SINGLE)
        if index.exists():
            return _read_index(index)
        if pickles := sorted(file.name for pattern in ("*.bin", "*.pt", "*.pth") for file in self.path.glob(pattern)):
            raise FormatError(
                f"{self.path}: has only pickled weights ({pickles[0]}), which may run code and are never read: use safetensors"
            )
        raise FormatError(f"{self.path}: has no weights: neither {SINGLE} nor {INDEX}")

    def _tensors_in(self, file: str, places: Mapping[str, str]) -> dict[str, StoredTensor]:
        """The tensors of one file, which must be those that `places` puts there."""
        path = self.path / file
        expected = {name for name, place in places.items() if place == file}
        header = read_safetensors(path)
        if strays := sorted(header.tensors.keys() - expected):
            known = f"is also in {places[strays[0]]}" if strays[0] in places else f"is not in {INDEX}"
            raise FormatError(f"{path}: tensor '{strays[0]}' {known}")
        if absent := sorted(expected - header.tensors.keys()):
            raise FormatError(f"{path}: missing tensor '{absent[0]}', which {INDEX} puts there")
        return {name: _stored(path, name, entry, header.data) for name, entry in header.tensors.items()}


def _stored(path: Path, name: str, entry: SafetensorsEntry, data: memoryview) -> StoredTensor:
    if entry.dtype not in _STORED:
        raise FormatError(f"{path}: tensor '{name}' is stored as {entry.dtype}; known are {', '.join(_STORED)}")
    return StoredTensor(path, entry.dtype, entry.shape, data[entry.offset : entry.offset + entry.num_bytes])


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path}: not JSON ({error})") from error
    if not isinstance(values, dict):
        raise FormatError(f"{path}: not a JSON object")
    return values


def _read_index(path: Path) -> dict[str, str]:
    places = _read_json(path).get("weight_map")
    if not isinstance(places, dict) or not places or not all(isinstance(file, str) for file in places.values()):
        raise FormatError(f"{path}: has no table 'weight_map' of tensor names and file names")
    for file in places.values():
        if Path(file).name != file or not file.endswith(".safetensors") or "\\" in file or "\0" in file:
            raise FormatError(f"{path}: points to {file!r}; only .safetensors files beside it are read")
    return places
