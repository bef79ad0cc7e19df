"""Which text of a group stays: the first in a total order, so that every run and every engine keeps the same one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from starloom.core.errors import SettingsError

LicenceType = Literal["permissive", "no_licence", "non_permissive"]

Columns = Sequence[npt.NDArray[Any]]
"""The columns of an order, the weightiest first, each [n] and better the less it is. Together they tell any two rows apart."""


def published_order(
    licence_types: Sequence[LicenceType],
    vendored: npt.NDArray[np.bool_],
    stars: npt.NDArray[np.int64],
    dates: npt.NDArray[np.int64],
    ids: npt.NDArray[np.int64],
) -> list[npt.NDArray[Any]]:
    """The Stack v2's order (specification section 5.4) and ours: permissive before no licence before others, own code before
    vendored copies, more stars, the later date (any unit; unknown is the least), then the lesser id, which is unique.
    """
    places = {name: place for place, name in enumerate(get_args(LicenceType))}
    unknown = sorted(set(licence_types) - set(places))
    if unknown:
        raise SettingsError(f"'{unknown[0]}' is not a licence type; these are: {', '.join(places)}")
    types = np.fromiter((places[name] for name in licence_types), dtype=np.uint8, count=len(licence_types))
    return [types, vendored, ~stars, ~dates, ids]


def survivors(groups: npt.NDArray[Any], order: Columns) -> npt.NDArray[np.int64]:
    """For each row the row of its group that stays (itself, when it does), int64 [n]; `groups` [n] are equal within a group.

    Needs all rows of each group; time is that of sorting.
    """
    sequence = np.lexsort((*reversed(order), groups))
    ordered = groups[sequence]
    first = np.ones(len(groups), dtype=np.bool_)
    first[1:] = ordered[1:] != ordered[:-1]
    found = np.empty(len(groups), dtype=np.int64)
    found[sequence] = sequence[np.flatnonzero(first)][np.cumsum(first) - 1]
    return found
