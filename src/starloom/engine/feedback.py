"""Rounds a matrix input by input, and lets the inputs that are still to come make up for each error.

For the sums of products H of a matrix's inputs, the disturbance of its outputs by an error e of a row is e H e'. Once an input's
weight is rounded, the best answer of the others is known in closed form (OBQ; in this order and with a Cholesky factor: GPTQ,
arXiv 2210.17323). Scales are chosen as in `rounding`, from the weights as they are when their group's turn comes.

Shapes in names:  N rows   K columns   I = 32 inputs of a group
"""

from __future__ import annotations

import numpy as np

from starloom.engine.calibration import Moments
from starloom.engine.layouts import F16, F32, GROUP, U8, Groups, Kind
from starloom.engine.rounding import best_line, best_scale, inverse, relative

_DAMPING = 0.01
"""This share of the mean is added to the diagonal of H: directions that the texts did not show count for something too."""


def rounded_with_feedback(weights: F32, kind: Kind, moments: Moments) -> Groups:
    """`weights` [N, K] as "q4" or "q4m". Raises `OverflowError` as `rounding.rounded`."""
    spans = [
        _span(weights[:, start : start + len(products)], kind, products)
        for start, products in zip(moments.starts, moments.products, strict=True)
    ]
    numbers, scale, minimum = (np.concatenate(arrays, axis=1) for arrays in zip(*spans, strict=True))
    return Groups(kind, numbers, scale, minimum if kind == "q4m" else None)


def _span(weights_NK: F32, kind: Kind, products_KK: F32) -> tuple[U8, F16, F16]:
    """Whole numbers [N, K], scales and minima [N, K / 32] of the columns whose products are known together."""
    factor = _factor(products_KK)
    importance = relative(np.diagonal(products_KK))
    rest = weights_NK.astype(np.float32)
    numbers = np.empty(rest.shape, np.uint8)
    scales, minima = (np.empty((len(rest), rest.shape[1] // GROUP), np.float16) for _ in range(2))
    for group, start in enumerate(range(0, rest.shape[1], GROUP)):
        stop = start + GROUP
        scale, low = _line(rest[:, start:stop], kind, importance[start:stop])
        errors = np.empty((len(rest), GROUP), np.float32)
        for column in range(start, stop):
            codes = np.rint((rest[:, column] - low) * inverse(scale)).clip(0, 15)
            error = (rest[:, column] - codes * scale.astype(np.float32) - low) / factor[column, column]
            rest[:, column + 1 : stop] -= np.outer(error, factor[column, column + 1 : stop])
            numbers[:, column], errors[:, column - start] = codes, error
        rest[:, stop:] -= errors @ factor[start:stop, stop:]
        scales[:, group], minima[:, group] = scale, low
    return numbers, scales, minima


def _line(weights_NI: F32, kind: Kind, importance_I: F32) -> tuple[F16, F32]:
    """The scale of each row's group, and what 0 stands for."""
    x_IN = np.ascontiguousarray(weights_NI.T)
    weight_IN = np.ascontiguousarray(np.broadcast_to(importance_I[:, None], x_IN.shape))
    if kind == "q4":
        scale = best_scale(x_IN, weight_IN)
        return scale, scale.astype(np.float32) * -8
    scale, minimum = best_line(x_IN, weight_IN)
    return scale, minimum.astype(np.float32)


def _factor(products_KK: F32) -> F32:
    """The upper Cholesky factor of the inverse of H, damped."""
    damped = products_KK.astype(np.float64)
    mean = float(np.mean(np.diagonal(damped))) or 1.0
    damped[np.diag_indices_from(damped)] += _DAMPING * mean
    factor: F32 = np.linalg.cholesky(np.linalg.inv(damped)).T.astype(np.float32)
    return factor
