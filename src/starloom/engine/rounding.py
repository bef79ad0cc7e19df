"""Rounds weights to 8 and 4 bits: for each group of 32 inputs, the scale that loses least.

The loss is the squared error of a group, each input weighted by its importance: the mean square of what arrives there
(`calibration` measures it), since that is how much a unit of error in this weight disturbs the output. Without a measure
all inputs count alike. Candidates for a scale are tried one after the other; for each, the best scale for the whole numbers
that it gives has a closed form. Knows nothing of files and layouts.

Shapes:  N rows   K columns   G = K / 32 groups of a row
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from starloom.engine.layouts import F16, F32, GROUP, Groups, Kind

_LARGEST = float(np.finfo(np.float16).max)
_Q4_STEPS = (8.0, 7.7, 7.4, 7.0, 8.4, 6.6, 8.8, 6.2)
"""Where the largest weight of a group may fall on the scale of 4 bits; beyond 8 it is clipped, below 7 some codes stay unused."""
_Q4M_STEPS = (15.0, 14.0, 13.2, 16.0)


def rounded(weights: F32, kind: Kind, importance: F32 | None = None) -> Groups:
    """`weights` [N, K] as "q8", "q4" or "q4m"; `importance` [K] of each input. Raises `OverflowError` beyond 16-bit scales."""
    if kind == "q8":
        return _rounded_q8(weights)
    grouped = weights.reshape(len(weights), -1, GROUP)
    weight = np.ones((1, grouped.shape[1], GROUP), np.float32) if importance is None else _relative(importance)
    return _rounded_q4(grouped, weight) if kind == "q4" else _rounded_q4m(grouped, weight)


def _relative(importance: F32) -> F32:
    """[K] -> [1, G, 32], 1 on average in each group; inputs that never occurred still count a little."""
    grouped = importance.reshape(1, -1, GROUP).astype(np.float32)
    mean = grouped.mean(axis=-1, keepdims=True)
    return np.where(mean > 0, grouped / np.where(mean > 0, mean, 1), 1).astype(np.float32) + np.float32(1e-3)


def _rounded_q8(weights: F32) -> Groups:
    grouped = weights.reshape(len(weights), -1, GROUP)
    scale = _half(np.abs(grouped).max(axis=-1) / np.float32(127))
    numbers = np.rint(grouped * _inverse(scale)[..., None]).clip(-127, 127).astype(np.int8)
    return Groups("q8", numbers.reshape(weights.shape), scale)


def _rounded_q4(grouped_NGI: F32, weight_1GI: F32) -> Groups:
    """q = round(w / s) + 8 in 0..15. The largest weight takes the end with 8 steps, of either sign, or falls short of it."""
    place = np.abs(grouped_NGI).argmax(axis=-1, keepdims=True)
    largest = np.take_along_axis(grouped_NGI, place, axis=-1)[..., 0]
    weighted = grouped_NGI * weight_1GI
    best = np.full(largest.shape, -1.0, np.float32)
    scale = np.zeros(largest.shape, np.float16)
    for end in [*(-step for step in _Q4_STEPS), *(step for step in _Q4_STEPS if step < 8)]:
        candidate = _half(largest / np.float32(end))
        for _ in range(2):
            numbers = np.rint(grouped_NGI * _inverse(candidate)[..., None]).clip(-8, 7)
            explained = np.einsum("ngi,ngi->ng", weighted, numbers)
            size = np.einsum("xgi,ngi,ngi->ng", weight_1GI, numbers, numbers)
            refit = _half(explained / np.maximum(size, np.float32(1e-30)))
            gain = refit * (2 * explained - refit * size)  # how much the squared error shrinks, with the scale as stored
            better = gain > best
            best, scale = np.where(better, gain, best), np.where(better, refit, scale)
            candidate = refit
    numbers = np.rint(grouped_NGI * _inverse(scale)[..., None]).clip(-8, 7) + 8
    return Groups("q4", numbers.astype(np.uint8).reshape(len(grouped_NGI), -1), scale)


def _rounded_q4m(grouped_NGI: F32, weight_1GI: F32) -> Groups:
    """q = round((w - m) / s) in 0..15; scale and minimum are refitted together by weighted least squares."""
    low, high = grouped_NGI.min(axis=-1), grouped_NGI.max(axis=-1)
    total = weight_1GI.sum(axis=-1)
    mean = (weight_1GI * grouped_NGI).sum(axis=-1) / total
    best = np.full(low.shape, np.inf, np.float32)
    scale, minimum = np.zeros(low.shape, np.float16), _half(low)
    for steps in _Q4M_STEPS:
        trial = _half((high - low) / np.float32(steps)), _half((high + low - (high - low) * np.float32(15 / steps)) / 2)
        for _ in range(3):
            numbers = _codes(grouped_NGI, *trial)
            error = (weight_1GI * _square(numbers * _wide(trial[0]) + _wide(trial[1]) - grouped_NGI)).sum(axis=-1)
            better = error < best
            best = np.where(better, error, best)
            scale, minimum = np.where(better, trial[0], scale), np.where(better, trial[1], minimum)
            middle = (weight_1GI * numbers).sum(axis=-1) / total
            centred = numbers - middle[..., None]
            spread = (weight_1GI * _square(centred)).sum(axis=-1)
            slope = (weight_1GI * centred * grouped_NGI).sum(axis=-1) / np.maximum(spread, np.float32(1e-30))
            trial = _half(slope), _half(mean - slope * middle)
    numbers = _codes(grouped_NGI, scale, minimum)
    return Groups("q4m", numbers.astype(np.uint8).reshape(len(grouped_NGI), -1), scale, minimum)


def _codes(grouped_NGI: F32, scale: F16, minimum: F16) -> F32:
    codes: F32 = np.rint((grouped_NGI - _wide(minimum)) * _inverse(scale)[..., None]).clip(0, 15)
    return codes


def _square(values: F32) -> F32:
    return values * values


def _wide(values: F16) -> F32:
    return values.astype(np.float32)[..., None]


def _inverse(scale: F16) -> F32:
    wide = scale.astype(np.float32)
    return np.divide(1, wide, out=np.zeros_like(wide), where=wide != 0)


def _half(values: NDArray[np.floating]) -> F16:
    if values.size and not np.abs(values).max() <= _LARGEST:
        raise OverflowError("a weight is too large for a scale of 16 bits, or not a number")
    return values.astype(np.float16)
