"""Opens models for the engine: packed once, kept in the cache, and from then on a map of that file.

The cache's file is named for the model's path and the kind asked for; it holds the sizes and times of the files it was made
from, and is made again when these change or when it is damaged. Where there can be no file, the model is packed in memory.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from starloom.core.errors import FormatError, InputError
from starloom.core.files import new_file
from starloom.core.progress import bar
from starloom.engine.cache_folder import cache_folder
from starloom.engine.layouts import U8, Kind
from starloom.engine.memory import allocate, gigabytes
from starloom.engine.packed_file import VERSION, PackedModel, PackedTensor, Source, placed, read_packed, write_packed
from starloom.engine.plan import PackedKind, check_quant, kind_of, packed_pieces, parts
from starloom.engine.sources import Source as ModelSource
from starloom.engine.sources import files_of, open_source

__all__ = ["PackedModel", "PackedTensor", "open_packed", "pack_in_memory"]

_ABANDONED = 3600.0  # seconds after which a file that is not finished belongs to nobody


class CacheWarning(UserWarning):
    """The cache could not be used as it should; the model is opened all the same."""


def open_packed(path: str | os.PathLike[str], quant: Kind | None = None) -> PackedModel:
    """Open the model at `path`, a Hugging Face directory or a GGUF file.

    `quant` rounds the matrices to that kind (embedding and head stay at 8 bits when it is a kind of 4); None keeps the kind
    of the file (see `stored.KIND_OF`). Raises `InputError`, `FormatError`, `SettingsError`; warns with `CacheWarning`.
    """
    check_quant(quant)
    path = Path(path).absolute()
    source = _fingerprint(path, quant)
    file = _file(path, quant)
    if (found := _cached(file, source)) is not None:
        return found
    model = open_source(path)
    try:
        _write(model, quant, source, file)
    except OSError as error:
        warnings.warn(
            f"'{file}' cannot be written ({error.strerror}): the model is packed in memory, and again at the next "
            "start; set STARLOOM_CACHE to a folder with room",
            CacheWarning,
            stacklevel=2,
        )
        return pack_in_memory(model, quant)
    return read_packed(file)[0]


def pack_in_memory(model: ModelSource, quant: Kind | None = None) -> PackedModel:
    """Pack without a file. Raises `InputError` when there is too little memory."""
    kinds = _kinds(model, quant)
    tensors, total = placed(model.config, kinds)
    data = allocate(total, f"packing '{model.path}'")
    current, place = "", 0
    for name, piece in _pieces(model, kinds):
        if name != current:
            current, place = name, tensors[name].offset
        data[place : place + len(piece)] = piece
        place += len(piece)
    data.flags.writeable = False
    return PackedModel(model.config, tensors, data, model.path)


def _fingerprint(path: Path, quant: Kind | None) -> Source:
    stats = [(file.name, file.stat()) for file in files_of(path)]
    return {"path": str(path), "quant": quant, "files": [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]}


def _file(path: Path, quant: Kind | None) -> Path:
    key = hashlib.sha256(f"{VERSION}\0{path}\0{quant}".encode()).hexdigest()[:16]
    return cache_folder() / "packed" / f"{path.stem}-{quant or 'as-is'}-{key}.starpack"


def _cached(file: Path, source: Source) -> PackedModel | None:
    """The model in the cache, if it is there, whole, and made from what is at the source now."""
    try:
        if not file.is_file():
            return None
        model, made_from = read_packed(file)
    except (FormatError, InputError) as error:
        warnings.warn(f"{error}; it is made again", CacheWarning, stacklevel=3)
        return None
    except OSError as error:
        warnings.warn(f"'{file}' cannot be read ({error.strerror}); it is made again", CacheWarning, stacklevel=3)
        return None
    return model if made_from == source else None


def _write(model: ModelSource, quant: Kind | None, source: Source, file: Path) -> None:
    kinds = _kinds(model, quant)
    _, total = placed(model.config, kinds)
    file.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(file)
    if (free := shutil.disk_usage(file.parent).free) < total:
        raise OSError(errno.ENOSPC, f"it needs {gigabytes(total)}; {gigabytes(free)} are free", str(file))
    with new_file(file) as partial, bar("packing", len(kinds)) as progress:
        write_packed(partial, model.config, kinds, source, _pieces(model, kinds, progress.advance))


def _remove_abandoned(file: Path) -> None:
    """Remove what processes left that were killed while they wrote `file`."""
    for partial in file.parent.glob(f".{glob.escape(file.name)}.*.partial"):
        with contextlib.suppress(OSError):
            if time.time() - partial.stat().st_mtime > _ABANDONED:
                partial.unlink()


def _kinds(model: ModelSource, quant: Kind | None) -> dict[str, PackedKind]:
    return {part.name: kind_of(part, model, quant) for part in parts(model.config)}


def _pieces(model: ModelSource, kinds: dict[str, PackedKind], done: Callable[[], None] | None = None) -> Iterator[tuple[str, U8]]:
    for part in parts(model.config):
        for piece in packed_pieces(part, kinds[part.name], model):
            yield part.name, piece
        for name in part.pieces:
            if name in model.tensors:
                model.tensors[name].forget()
        if done:
            done()
