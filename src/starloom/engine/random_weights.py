"""Models of a given shape with random weights: for measurements of speed and memory, where no published weights are at hand.

Whole numbers are evenly random, scales such that weights have the spread of the configuration's `initializer_range`; norms
are 1 and biases 0. Text made by such a model means nothing. The same seed gives the same model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from starloom.contract.model_config import StarCoder2Config
from starloom.contract.presets import preset
from starloom.core.files import new_file
from starloom.engine.layouts import STRIPE, Kind, bf16_bits, blocks_of
from starloom.engine.memory import allocate
from starloom.engine.packed_file import PackedModel, placed, read_packed, write_packed
from starloom.engine.plan import PackedKind, check_quant, chosen_kind, parts
from starloom.engine.sources import check_sizes

_SPREAD: Final[dict[PackedKind, float]] = {"q8": 255 / 12**0.5, "q4": 15 / 12**0.5, "q4m": 15 / 12**0.5}
"""The standard deviation of evenly random whole numbers."""

_PIECE = 16 * 2**20


def random_packed(shape: str | StarCoder2Config, quant: Kind = "q4", seed: int = 0, path: Path | None = None) -> PackedModel:
    """A random model of a preset ("3b", "7b", "15b", ...) or of a configuration, in memory or in a packed file at `path`.

    Embedding and head are q8 when `quant` is a kind of 4 bits. Raises `InputError` when there is too little memory.
    """
    check_quant(quant)
    config = preset(shape) if isinstance(shape, str) else shape
    check_sizes(config, "this shape")
    kinds = {part.name: chosen_kind(part, quant) for part in parts(config)}
    tensors, total = placed(config, kinds)
    if path is None:
        model = PackedModel(config, tensors, allocate(total, f"a random model of {config.num_parameters:,} parameters"), None)
        _fill(model, seed)
        return model
    with new_file(path) as partial:
        write_packed(partial, config, kinds, {"seed": seed}, ())
        data = np.memmap(partial, np.uint8, "r+")
        _fill(PackedModel(config, tensors, np.asarray(data[len(data) - total :]), None), seed)
        data.flush()
    return read_packed(path)[0]


def _fill(model: PackedModel, seed: int) -> None:
    """Put random numbers into the zeroed memory of `model`."""
    bits = np.random.SFC64(seed)
    spread = model.config.initializer_range
    normal = np.random.Generator(bits).standard_normal(1 << 20, np.float32) * np.float32(spread)
    pools = {"f32": normal.view(np.uint8), "bf16": bf16_bits(normal).view(np.uint8)}
    for name, tensor in model.tensors.items():
        data = model.bytes_of(name)
        if tensor.kind == "vector":
            data.view(np.float32)[:] = name.endswith("norm.weight")
            continue
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            if (pool := pools.get(tensor.kind)) is not None:
                piece[:] = np.resize(np.roll(pool, 4 * int(bits.random_raw() % len(normal))), len(piece))
            else:
                piece[:] = bits.random_raw(-(-len(piece) // 8)).view(np.uint8)[: len(piece)]
        _finish(blocks_of(data, tensor.kind, tensor.rows, tensor.columns), tensor.kind, tensor.rows, spread)


def _finish(blocks: NDArray[Any], kind: Kind, rows: int, spread: float) -> None:
    """Set the scales, and the rows beyond the last to zero."""
    filled = rows % STRIPE or STRIPE
    if kind == "f32":
        blocks["numbers"][-1, ..., filled:] = 0
    elif kind == "bf16":
        blocks["numbers"][-1, ..., filled:, :] = 0
    else:
        scale = (spread / _SPREAD[kind] * np.linspace(0.75, 1.25, STRIPE)).astype(np.float16)
        blocks["scale"] = scale
        blocks["scale"][-1, ..., filled:] = 0
        if kind == "q4m":
            blocks["minimum"] = scale * np.float16(-7.5)
            blocks["minimum"][-1, ..., filled:] = 0
