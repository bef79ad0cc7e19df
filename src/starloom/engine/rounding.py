"""Rounds weights to 8 and 4 bits: for each group of 32 inputs, the scale that loses least.

The loss is the squared error of a group, each input weighted by its importance where that is known: the mean square of what
arrives there, since that is how much a unit of error in this weight disturbs the output (see `feedback`). Candidates for a scale
are tried one after the other; for each, the best scale for the whole numbers that it gives has a closed form. Knows nothing of
files and layouts.

Shapes:  N rows   K columns   I = 32 inputs of a group   G groups in a piece, that lie beside each other for speed
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from starloom.engine.layouts import F16, F32, GROUP, Groups, Kind

_LARGEST = float(np.finfo(np.float16).max)
_Q4_ENDS = (-8.0, -7.2, -8.8, 7.5)
"""Where the largest weight of a group may fall: at the end that has 8 steps, short of it, beyond it (then it is clipped), or at
the other end. Ten more candidates lessen the error of normal weights by another 0.3 %."""

_Q4M_STEPS = (15.0, 14.0, 13.2, 16.0)
_PIECE = 1 << 16  # numbers at once, so that all arrays stay in the cache


def rounded(weights: F32, kind: Kind) -> Groups:
    """`weights` [N, K] as "q8", "q4" or "q4m", all inputs alike. Raises `OverflowError` beyond what scales of 16 bits hold."""
    if kind == "q8":
        return _rounded_q8(weights)
    rows, columns = weights.shape
    numbers = np.empty(weights.shape, np.uint8)
    scale, minimum = (np.empty((rows, columns // GROUP), np.float16) for _ in range(2))
    step = max(1, _PIECE // columns)
    for start in range(0, rows, step):
        stop = min(start + step, rows)
        x_IG = _side_by_side(weights[start:stop])
        if kind == "q4":
            found = best_scale(x_IG)
            codes = _codes_q4(x_IG, found)
        else:
            found, low = best_line(x_IG)
            codes = _codes_q4m(x_IG, found, low)
            minimum[start:stop] = low.reshape(stop - start, -1)
        numbers[start:stop] = codes.T.reshape(stop - start, columns)
        scale[start:stop] = found.reshape(stop - start, -1)
    return Groups(kind, numbers, scale, minimum if kind == "q4m" else None)


def relative(importance: F32) -> F32:
    """`importance` as shares of the mean of each group; inputs that never occurred still count a little."""
    grouped = importance.reshape(-1, GROUP).astype(np.float32)
    mean = grouped.mean(axis=-1, keepdims=True)
    shares: F32 = np.divide(grouped, mean, out=np.ones_like(grouped), where=mean > 0)
    shares += np.float32(1e-3)
    flat: F32 = shares.reshape(importance.shape)
    return flat


def _side_by_side(array: F32) -> F32:
    turned: F32 = np.ascontiguousarray(array.reshape(-1, GROUP).T)
    return turned


def _rounded_q8(weights: F32) -> Groups:
    grouped = weights.reshape(len(weights), -1, GROUP)
    scale = half(np.abs(grouped).max(axis=-1) / np.float32(127))
    numbers = np.rint(grouped * inverse(scale)[..., None]).clip(-127, 127).astype(np.int8)
    return Groups("q8", numbers.reshape(weights.shape), scale)


def best_scale(x_IG: F32, weight_IG: F32 | None = None) -> F16:
    """The scale [G] of each group in 4 bits with q = round(x / scale) from -8 to 7."""
    largest = np.take_along_axis(x_IG, np.abs(x_IG).argmax(axis=0)[None], axis=0)[0]
    weighted = x_IG if weight_IG is None else x_IG * weight_IG
    codes, room = np.empty_like(x_IG), np.empty_like(x_IG)
    best, scale = np.full(largest.shape, -1.0, np.float32), half(largest / np.float32(-8))
    for end in _Q4_ENDS:
        candidate = half(largest / np.float32(end))
        for _ in range(2):
            _round(x_IG, candidate, codes)
            explained = np.multiply(weighted, codes, out=room).sum(axis=0)
            np.multiply(codes, codes, out=room)
            if weight_IG is not None:
                room *= weight_IG
            size = room.sum(axis=0)
            refit = half(explained / np.maximum(size, np.float32(1e-30)))
            gain = refit * (2 * explained - refit * size)  # how much the squared error shrinks, with the scale as stored
            better = gain > best
            best[better], scale[better] = gain[better], refit[better]
            candidate = refit
    return scale


def _round(x_IG: F32, scale: F16, codes: F32) -> None:
    np.multiply(x_IG, inverse(scale), out=codes)
    np.rint(codes, out=codes)
    np.maximum(codes, -8, out=codes)
    np.minimum(codes, 7, out=codes)


def _codes_q4(x_IG: F32, scale: F16) -> F32:
    codes = np.empty_like(x_IG)
    _round(x_IG, scale, codes)
    codes += 8
    return codes


def best_line(x_IG: F32, weight_IG: F32 | None = None) -> tuple[F16, F16]:
    """Scale and minimum [G] with q = round((x - minimum) / scale) from 0 to 15, refitted by weighted least squares."""
    weight = np.ones((GROUP, 1), np.float32) if weight_IG is None else weight_IG
    low, high, total = x_IG.min(axis=0), x_IG.max(axis=0), weight.sum(axis=0)
    mean = (weight * x_IG).sum(axis=0) / total
    best, found = np.full(low.shape, np.inf, np.float32), (half((high - low) / 15), half(low))
    for steps in _Q4M_STEPS:
        trial = half((high - low) / np.float32(steps)), half((high + low - (high - low) * np.float32(15 / steps)) / 2)
        for _ in range(3):
            codes = _codes_q4m(x_IG, *trial)
            error = codes * trial[0].astype(np.float32) + trial[1].astype(np.float32) - x_IG
            loss = (weight * error * error).sum(axis=0)
            better = loss < best
            best[better] = loss[better]
            for place in (0, 1):
                found[place][better] = trial[place][better]
            middle = (weight * codes).sum(axis=0) / total
            codes -= middle
            slope = (weight * codes * x_IG).sum(axis=0) / np.maximum((weight * codes * codes).sum(axis=0), np.float32(1e-30))
            trial = half(slope), half(mean - slope * middle)
    return found


def _codes_q4m(x_IG: F32, scale: F16, minimum: F16) -> F32:
    codes: F32 = (x_IG - minimum.astype(np.float32)) * inverse(scale)
    np.rint(codes, out=codes)
    return codes.clip(0, 15, out=codes)


def inverse(scale: F16) -> F32:
    """1 / scale, and 0 for 0."""
    wide = scale.astype(np.float32)
    return np.divide(1, wide, out=np.zeros_like(wide), where=wide != 0)


def half(values: NDArray[np.floating]) -> F16:
    """`values` as float16. Raises `OverflowError` for what that cannot hold."""
    if values.size and not np.abs(values).max() <= _LARGEST:
        raise OverflowError("a weight is too large for a scale of 16 bits, or not a number")
    return values.astype(np.float16)
