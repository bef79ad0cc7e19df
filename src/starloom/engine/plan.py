"""Which packed tensors a model has, of which kind each is, and the bytes of each from a source.

q, k and v become one matrix, and so their biases one vector; a model without biases gets zeros. Vectors stay float32.
Knows nothing of files: bytes come out in pieces, in order, so that no more than a piece is held at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from starloom.contract.model_config import StarCoder2Config
from starloom.contract.model_tensors import EMBEDDING, HEAD
from starloom.core.errors import FormatError, SettingsError
from starloom.engine.layouts import F32, KINDS, STRIPE, U8, Groups, Kind, matrix_bytes, pack_bf16, pack_floats, pack_groups
from starloom.engine.rounding import rounded
from starloom.engine.sources import Source
from starloom.engine.stored import KIND_OF, Stored

PackedKind = Literal["f32", "bf16", "q8", "q4", "q4m", "vector"]

_PIECE_NUMBERS = 1 << 18  # converted at once: a few arrays of this size stay in the cache
_WIDTH: Final[dict[Kind, int]] = {"q4": 0, "q4m": 1, "q8": 2, "bf16": 3, "f32": 4}


@dataclass(frozen=True)
class Part:
    """A packed tensor to be: its size, and the published tensors whose rows follow each other in it."""

    name: str
    rows: int
    columns: int
    pieces: tuple[str, ...]

    @property
    def is_matrix(self) -> bool:
        """Whether it is a matrix; else a vector, with 1 column."""
        return self.pieces[0].endswith(".weight") and "norm." not in self.name


def parts(config: StarCoder2Config) -> list[Part]:
    """All packed tensors of a model, in the order in which a step reads them."""
    hidden, inner = config.hidden_size, config.intermediate_size
    joined = hidden + 2 * config.num_key_value_heads * config.head_dim
    found = [Part("embedding", config.vocab_size, hidden, (EMBEDDING,))]

    def norm(name: str, source: str) -> None:
        found.extend(Part(f"{name}.{end}", hidden, 1, (f"{source}.{end}",)) for end in ("weight", "bias"))

    def linear(name: str, rows: int, columns: int, *sources: str) -> None:
        found.append(Part(name, rows, columns, tuple(f"{source}.weight" for source in sources)))
        found.append(Part(f"{name}.bias", rows, 1, tuple(f"{source}.bias" for source in sources)))

    for layer in range(config.num_hidden_layers):
        ours, theirs = f"layers.{layer}", f"model.layers.{layer}"
        norm(f"{ours}.input_norm", f"{theirs}.input_layernorm")
        linear(f"{ours}.qkv", joined, hidden, *(f"{theirs}.self_attn.{part}_proj" for part in "qkv"))
        linear(f"{ours}.o", hidden, hidden, f"{theirs}.self_attn.o_proj")
        norm(f"{ours}.post_norm", f"{theirs}.post_attention_layernorm")
        linear(f"{ours}.fc", inner, hidden, f"{theirs}.mlp.c_fc")
        linear(f"{ours}.proj", hidden, inner, f"{theirs}.mlp.c_proj")
    norm("norm", "model.norm")
    if not config.tie_word_embeddings:
        found.append(Part("head", config.vocab_size, hidden, (HEAD,)))
    return found


def check_quant(quant: str | None) -> None:
    """Raise `SettingsError` when `quant` is no kind of matrix."""
    if quant is not None and quant not in KINDS:
        raise SettingsError(f"'quant' is {quant!r}; it must be one of {', '.join(KINDS)}")


def chosen_kind(part: Part, quant: Kind) -> PackedKind:
    """The kind of a packed tensor when matrices shall be `quant`: 4 bits mean 8 for embedding and head."""
    if not part.is_matrix:
        return "vector"
    return "q8" if quant in ("q4", "q4m") and part.name in ("embedding", "head") else quant


def kind_of(part: Part, source: Source, quant: Kind | None) -> PackedKind:
    """The kind of a packed tensor: what `quant` asks for, else what holds all that the source has."""
    if quant is not None or not part.is_matrix:
        return chosen_kind(part, quant or "f32")
    return max((KIND_OF[source.tensors[name].format] for name in part.pieces), key=_WIDTH.__getitem__)


def tensor_bytes(kind: PackedKind, rows: int, columns: int) -> int:
    """The bytes of a packed tensor."""
    return 4 * rows if kind == "vector" else matrix_bytes(kind, rows, columns)


def packed_pieces(part: Part, kind: PackedKind, source: Source) -> Iterator[U8]:
    """The bytes of a packed tensor, some rows at a time, on all cores. Raises `FormatError` for numbers that cannot be packed."""
    if kind == "vector":
        yield _vector(part, source).view(np.uint8)
        return
    stored = [source.tensors[name] for name in part.pieces]
    step = max(STRIPE, _PIECE_NUMBERS // part.columns // STRIPE * STRIPE)
    starts, workers = range(0, part.rows, step), _num_cores()

    def piece(start: int) -> U8:
        return _packed(_rows(stored, start, min(start + step, part.rows)), kind)

    with ThreadPoolExecutor(workers) as pool:
        for first in range(0, len(starts), 4 * workers):  # a few each, so that finished ones do not pile up
            yield from pool.map(piece, starts[first : first + 4 * workers])


def _num_cores() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 16)  # each holds a few megabytes


def _vector(part: Part, source: Source) -> F32:
    if part.pieces[0] not in source.tensors:
        return np.zeros(part.rows, np.float32)
    return np.concatenate([source.tensors[name].floats() for name in part.pieces]).astype("<f4")


def _rows(stored: list[Stored], start: int, stop: int) -> list[Stored]:
    """Rows `start` to `stop` of matrices that stand one below the other."""
    found = []
    for tensor in stored:
        rows = tensor.shape[0]
        if start < rows and stop > 0:
            found.append(tensor.rows(max(start, 0), min(stop, rows)))
        start, stop = start - rows, stop - rows
    return found


def _packed(stored: list[Stored], kind: Kind) -> U8:
    if kind == "f32":
        return pack_floats(np.concatenate([tensor.floats() for tensor in stored]))
    if kind == "bf16":
        return pack_bf16(np.concatenate([tensor.bf16() for tensor in stored]))
    found = [_groups(tensor, kind) for tensor in stored]
    if len(found) == 1:
        return pack_groups(found[0])
    numbers, scale = np.concatenate([part.numbers for part in found]), np.concatenate([part.scale for part in found])
    minima = [part.minimum for part in found if part.minimum is not None]
    return pack_groups(Groups(kind, numbers, scale, np.concatenate(minima) if minima else None))


def _groups(tensor: Stored, kind: Kind) -> Groups:
    """The tensor as whole numbers of `kind`: as they are where that is exact, else rounded."""
    groups = tensor.groups()
    if groups is not None and (same := _as(groups, kind)) is not None:
        return same
    try:
        return rounded(tensor.floats(), kind)
    except OverflowError as error:
        raise FormatError(f"tensor '{tensor.name}' cannot be rounded to {kind}: {error}") from None


def _as(groups: Groups, kind: Kind) -> Groups | None:
    """The same values in another kind, where that is possible without loss."""
    if groups.kind == kind:
        return groups
    if (groups.kind, kind) == ("q4", "q8"):
        return Groups("q8", groups.numbers.astype(np.int8) - np.int8(8), groups.scale)
    if (groups.kind, kind) == ("q4", "q4m"):
        with np.errstate(over="ignore"):
            minimum = groups.scale * np.float16(-8)
        return Groups("q4m", groups.numbers, groups.scale, minimum) if np.isfinite(minimum).all() else None
    return None
