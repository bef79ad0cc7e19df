"""The number formats of weights in PyTorch; what every reader checks is in `contract.model_tensors`."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from starloom.contract.model_tensors import check_shapes

__all__ = ["DTYPES", "check_shapes", "widest"]

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
"""The number formats of weights, by the names that config.json uses."""


def widest(tensors: Mapping[str, Tensor]) -> torch.dtype:
    """The one dtype that holds all of `tensors` without loss."""
    dtypes = [tensor.dtype for tensor in tensors.values()]
    result = dtypes[0]
    for dtype in dtypes[1:]:
        result = torch.promote_types(result, dtype)
    return result
