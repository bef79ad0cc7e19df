"""Connected components of verified pairs as steps: in one part, or by rounds over buckets when no machine can hold all pairs.

A round is large-star and small-star of `duplicates.components`, each over the pairs of the vertices of one bucket. The last step
checks that the rounds were enough.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from starloom.core.errors import PipelineError
from starloom.data.duplicates.candidates import Edges, distinct
from starloom.data.duplicates.components import both_ways, components, downwards, large_star, small_star
from starloom.data.duplicates.mixing import mixed
from starloom.data.pipeline.step import Step

PAIRS = pa.schema([pa.field("low", pa.int64()), pa.field("high", pa.int64())])
ARCS = pa.schema([pa.field("key", pa.uint64()), pa.field("low", pa.int64()), pa.field("high", pa.int64())])
"""Pairs on their way to the bucket of the vertex in their first column."""
GROUPS = pa.schema([pa.field("id", pa.int64()), pa.field("group", pa.int64())])


def pairs_of(table: pa.Table) -> Edges:
    """The distinct pairs of a table with `low` and `high`, which may come more than once and either way."""
    return distinct(_ends(table))


def keys_of(values: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Ids are small numbers: mixed they spread over all buckets."""
    return mixed(values.astype(np.uint64))


def group_steps(rounds: int) -> tuple[Step, ...]:
    """The steps from the pairs of `near_verified` to `near_groups`: the least id of the group of every id that has a pair."""
    if not rounds:
        return (Step("near_groups", GROUPS, _in_one_part, takes=("near_verified",), per="run", gives="to shards"),)
    steps: list[Step] = []
    before = "near_verified"
    for number in range(1, rounds + 1):
        steps.append(_half(f"near_large_{number}", _large, before))
        steps.append(_half(f"near_small_{number}", _small, f"near_large_{number}"))
        before = f"near_small_{number}"
    last = Step("near_groups", GROUPS, _of_stars, takes=(before,), per="bucket", gives="to shards")
    return (*steps, last)


def arcs(ends: npt.NDArray[np.int64]) -> pa.Table:
    """Rows of `ARCS` for the buckets of the first column."""
    return pa.table([keys_of(ends[:, 0]), ends[:, 0], ends[:, 1]], schema=ARCS)


def _half(name: str, function: Callable[[pa.Table], pa.Table], before: str) -> Step:
    return Step(name, ARCS, function, takes=(before,), per="bucket", gives="to buckets")


def _ends(table: pa.Table) -> npt.NDArray[np.int64]:
    return np.stack([table.column("low").to_numpy(), table.column("high").to_numpy()], axis=1)


def _in_one_part(table: pa.Table) -> pa.Table:
    return pa.table(list(components(pairs_of(table))), schema=GROUPS)


def _large(table: pa.Table) -> pa.Table:
    return arcs(downwards(large_star(_distinct_arcs(table))))


def _small(table: pa.Table) -> pa.Table:
    return arcs(both_ways(small_star(_distinct_arcs(table))))


def _distinct_arcs(table: pa.Table) -> npt.NDArray[np.int64]:
    found: npt.NDArray[np.int64] = np.unique(_ends(table), axis=0)
    return found


def _of_stars(table: pa.Table) -> pa.Table:
    """Every vertex is the least of its pairs, or has one pair, with a lesser vertex. Raises `PipelineError` when not."""
    ends = _distinct_arcs(table)
    vertices, first, counts = np.unique(ends[:, 0], return_index=True, return_counts=True)
    least = np.minimum(ends[first, 1], vertices)
    if np.any((least < vertices) & (counts > 1)):
        raise PipelineError("groups of near duplicates were not settled: give more rounds (near.rounds), or 0 for one part")
    return pa.table([vertices, least], schema=GROUPS)
