"""What every reader of weights checks, and no writer forgets: names, shapes and dtypes of a set of tensors."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from starloom.core.errors import FormatError

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
"""The number formats of weights, by the names that config.json uses."""


def check_shapes(found: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]], where: object) -> None:
    """Raise `FormatError` that names the tensors of `found` that are missing, of another shape, or too many."""
    if missing := [name for name in wanted if name not in found]:
        raise FormatError(f"{where}: missing {_names(missing)}")
    if extra := [name for name in found if name not in wanted]:
        raise FormatError(f"{where}: {_names(extra)} not part of this model")
    for name, shape in wanted.items():
        if found[name] != shape:
            raise FormatError(f"{where}: tensor '{name}' has the shape {list(found[name])}; its configuration says {list(shape)}")


def _names(names: list[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:3])
    return f"tensor {shown}" if len(names) == 1 else f"{len(names)} tensors ({shown}{', ...' if len(names) > 3 else ''})"


def widest(tensors: Mapping[str, Tensor]) -> torch.dtype:
    """The one dtype that holds all of `tensors` without loss."""
    dtypes = [tensor.dtype for tensor in tensors.values()]
    result = dtypes[0]
    for dtype in dtypes[1:]:
        result = torch.promote_types(result, dtype)
    return result
