"""Writes a model as GGUF in fewer bits, which llama.cpp opens unchanged; one matrix at a time.

4 bits are Q4_0 (or Q4_1) with Q8_0 for embedding and head, which cost little and matter most. Scales are chosen to lose least
(`rounding`); with texts to calibrate on, errors are weighed by what really arrives at each input, and made up for by the inputs
that follow (`feedback`). Norms and biases stay float32. Knows nothing of the command line.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import gguf
import numpy as np
from gguf import GGMLQuantizationType, LlamaFileType

from starloom.contract import Contract
from starloom.contract.gguf_model import ARCHITECTURE, add_metadata, gguf_name
from starloom.contract.model_tensors import EMBEDDING, HEAD, published_shapes
from starloom.core.errors import FormatError, InputError, SettingsError
from starloom.core.files import new_file
from starloom.core.progress import bar
from starloom.engine.calibration import Moments, moments_by_layer
from starloom.engine.feedback import rounded_with_feedback
from starloom.engine.gguf_blocks import written
from starloom.engine.layouts import U8, Groups, Kind
from starloom.engine.rounding import rounded
from starloom.engine.sources import Source, open_source
from starloom.engine.stored import Stored

_ROWS = 2048  # rounded at once


@dataclass(frozen=True)
class Target:
    """What a file's matrices become: the format of the layers', that of embedding and head, and the file's mark."""

    layers: GGMLQuantizationType
    outer: GGMLQuantizationType
    file_type: LlamaFileType


_T = GGMLQuantizationType
TARGETS: Final = {
    "q4": Target(_T.Q4_0, _T.Q8_0, LlamaFileType.MOSTLY_Q4_0),
    "q4_1": Target(_T.Q4_1, _T.Q8_0, LlamaFileType.MOSTLY_Q4_1),
    "q8": Target(_T.Q8_0, _T.Q8_0, LlamaFileType.MOSTLY_Q8_0),
    "bf16": Target(_T.BF16, _T.BF16, LlamaFileType.MOSTLY_BF16),
    "f16": Target(_T.F16, _T.F16, LlamaFileType.MOSTLY_F16),
    "f32": Target(_T.F32, _T.F32, LlamaFileType.ALL_F32),
}
"""By the names that `--to` takes."""

_KINDS: Final[dict[GGMLQuantizationType, Kind]] = {_T.Q4_0: "q4", _T.Q4_1: "q4m", _T.Q8_0: "q8"}


def quantize(
    path: str | os.PathLike[str], out: str | os.PathLike[str], to: str = "q4", texts: Sequence[Sequence[int]] = ()
) -> None:
    """Write the model at `path` as the GGUF file `out`, in one step; `texts` (ids) calibrate what is rounded to 4 bits.

    Raises `SettingsError` for an unknown `to`, and what `open_source` and `Contract.of` raise.
    """
    if to not in TARGETS:
        raise SettingsError(f"'to' is {to!r}; it must be one of {', '.join(TARGETS)}")
    source, contract, out = open_source(path), Contract.of(Path(path)), Path(out)
    if out.exists() and out.resolve() in {file.resolve() for file in source.files}:
        raise InputError(f"'{out}' is the model itself: name another file")
    target = TARGETS[to]
    with new_file(out) as partial, bar("quantising", source.config.num_hidden_layers + 2) as progress:
        writer = gguf.GGUFWriter(None, ARCHITECTURE)
        try:
            add_metadata(writer, source.config, contract, target.file_type)
            _add_places(writer, source, target)
            writer.write_header_to_file(partial)
            writer.write_kv_data_to_file()
            writer.write_ti_data_to_file()
            for data in _tensors(source, target, texts, progress.advance):
                writer.write_tensor_data(data)
        finally:
            writer.close()


def _format(name: str, shape: tuple[int, ...], target: Target) -> GGMLQuantizationType:
    if len(shape) < 2:
        return _T.F32
    return target.outer if name in (EMBEDDING, HEAD) else target.layers


def _add_places(writer: gguf.GGUFWriter, source: Source, target: Target) -> None:
    for name, shape in _shapes(source):
        kind = _format(name, shape, target)
        size = int(np.prod(gguf.quant_shape_to_byte_shape(shape, kind)))
        writer.add_tensor_info(gguf_name(name), shape, np.dtype(np.float32), size, raw_dtype=kind)


def _shapes(source: Source) -> list[tuple[str, tuple[int, ...]]]:
    """All tensors in the order of the file: the embedding, the layers, what is behind them."""
    return list(published_shapes(source.config).items())


def _tensors(source: Source, target: Target, texts: Sequence[Sequence[int]], done: Callable[[], None]) -> Iterator[U8]:
    """The bytes of all tensors in order. The texts run through the layers as these are written."""
    layers = moments_by_layer(source, texts) if texts and target.layers in (_T.Q4_0, _T.Q4_1) else iter(())
    current, moments = "", dict[str, Moments]()
    for name, shape in _shapes(source):
        start = ".".join(name.split(".")[:3]) + "." if name.startswith("model.layers.") else ""
        if start != current:
            current, moments = start, next(layers, ("", {}))[1]
            done()
        stored = source.tensors[name]
        part = name.removeprefix(start).removesuffix(".weight").replace("k_proj", "q_proj").replace("v_proj", "q_proj")
        try:
            yield _bytes(stored, _format(name, shape, target), moments.get(part) if start else None)
        except OverflowError as error:
            raise FormatError(f"tensor '{name}' cannot be rounded: {error}") from None
        stored.forget()
    done()


def _bytes(stored: Stored, kind: GGMLQuantizationType, moments: Moments | None) -> U8:
    """The bytes of one tensor, [rows, bytes of a row] or [bytes]."""
    if kind == _T.F32:
        return stored.floats().view(np.uint8)
    if kind == _T.F16:
        return _half_bytes(stored)
    if kind == _T.BF16:
        return stored.bf16().view(np.uint8)
    if moments is not None:
        return written(rounded_with_feedback(stored.floats(), _KINDS[kind], moments))
    rows = range(0, stored.shape[0], _ROWS)
    return np.concatenate([written(_groups(stored.rows(row, row + _ROWS), _KINDS[kind])) for row in rows])


def _groups(stored: Stored, kind: Kind) -> Groups:
    groups = stored.groups()
    return groups if groups is not None and groups.kind == kind else rounded(stored.floats(), kind)


def _half_bytes(stored: Stored) -> U8:
    with np.errstate(over="ignore"):
        values = stored.floats().astype(np.float16)
    if not np.isfinite(values).all():
        raise OverflowError("a weight is too large for 16 bits: use bf16")
    return values.view(np.uint8)
