"""Near duplicates over all shards, in exchanges of narrow rows. Texts are read twice and never leave their shard whole.

keys of bands -> buckets: candidate pairs -> both homes -> shingles of both ends -> buckets: true similarity -> one part:
connected components (`near_groups`) -> homes -> buckets by component: the survivor -> homes.
"""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pyarrow as pa

from starloom.data.duplicates.candidates import BandRows, band_rows, candidates
from starloom.data.duplicates.components import both_ways
from starloom.data.duplicates.minhash import Banding, band_keys, signatures
from starloom.data.duplicates.shingles import Shingles, shingles_of
from starloom.data.duplicates.survivors import survivors
from starloom.data.duplicates.verification import verified
from starloom.data.pipeline.settings import NearSettings
from starloom.data.pipeline.shuffle import rows_of
from starloom.data.pipeline.stages.homing import home_schema, homing
from starloom.data.pipeline.stages.near_groups import ARCS, PAIRS, arcs, group_steps, keys_of, pairs_of
from starloom.data.pipeline.stages.survival import COMPARED, FIELDS, LOST, READS, compared, lost, order_columns, order_of
from starloom.data.pipeline.step import Step
from starloom.data.quality.filters import NEAR_DUPLICATE

_KEY, _ID = pa.field("key", pa.uint64()), pa.field("id", pa.int64())
_ENDS = (pa.field("low", pa.int64()), pa.field("high", pa.int64()))
KEYS = pa.schema([_KEY, pa.field("size", pa.uint32()), _ID])
CANDIDATES = pa.schema([_ID, *_ENDS])
EDGES = pa.schema([_KEY, *_ENDS])
SHINGLES = pa.schema([_KEY, _ID, pa.field("shingles", pa.large_list(pa.uint32()))])
MEMBERS = pa.schema([_KEY, pa.field("group", pa.int64()), *FIELDS])


def near_steps(settings: NearSettings) -> tuple[Step, ...]:
    """The steps of the exchanges."""
    stages = _Near(settings)
    known = asdict(settings)
    return (
        Step("near_keys", KEYS, stages.keys, reads=("id", "text", *COMPARED), gives="to buckets", settings=known, version=2),
        Step("near_pairs", CANDIDATES, stages.pairs, takes=("near_keys",), per="bucket", gives="to shards", settings=known),
        Step("near_edges", EDGES, _edges, reads=("id",), takes=("near_pairs",), gives="to buckets"),
        Step("near_shingles", SHINGLES, _shingles, reads=("id", "text"), takes=("near_pairs",), gives="to buckets"),
        Step(
            "near_verified",
            ARCS if settings.rounds else PAIRS,
            stages.verified,
            takes=("near_edges", "near_shingles"),
            per="bucket",
            gives="to buckets" if settings.rounds else "to run",
            settings=known,
        ),
        *group_steps(settings.rounds),
        Step("near_members", MEMBERS, _members, reads=("id", *READS), takes=("near_groups",), gives="to buckets"),
        Step("near_survivors", LOST, _survivors, takes=("near_members",), per="bucket", gives="to shards"),
        Step(
            "near",
            home_schema("near_survivor"),
            homing("near_survivor", NEAR_DUPLICATE),
            reads=("id",),
            takes=("near_survivors",),
        ),
    )


class _Near:
    """The steps that depend on settings."""

    def __init__(self, settings: NearSettings) -> None:
        self._threshold, self._rounds = settings.threshold, settings.rounds
        self._banding = Banding(settings.bands, settings.rows)

    def keys(self, table: pa.Table) -> pa.Table:
        table = compared(table)
        shingles = shingles_of(table.column("text").to_pylist())
        minima = signatures(shingles, self._banding.bands * self._banding.rows)
        rows = band_rows(band_keys(minima, self._banding), shingles, table.column("id").to_numpy())
        return pa.table(list(rows), schema=KEYS)

    def pairs(self, rows: pa.Table) -> pa.Table:
        """Each pair goes to the homes of both of its ends."""
        edges = candidates(BandRows(*(rows.column(name).to_numpy() for name in KEYS.names)), self._threshold)
        ids = np.concatenate([edges[:, 0], edges[:, 1]])
        return pa.table([ids, *np.tile(edges, (2, 1)).T], schema=CANDIDATES)

    def verified(self, edges: pa.Table, rows: pa.Table) -> pa.Table:
        ids, first = np.unique(rows.column("id").to_numpy(), return_index=True)
        taken = rows.column("shingles").combine_chunks().take(pa.array(first))
        good = verified(pairs_of(edges), ids, _from_lists(taken), self._threshold)
        return arcs(both_ways(good)) if self._rounds else pa.table(list(good.T), schema=PAIRS)


def _edges(table: pa.Table, pairs: pa.Table) -> pa.Table:
    """The pairs whose lesser end lies in this shard."""
    edges = pairs_of(pairs)
    edges = edges[np.isin(edges[:, 0], table.column("id").to_numpy())]
    return pa.table([keys_of(edges[:, 0]), *edges.T], schema=EDGES)


def _shingles(table: pa.Table, pairs: pa.Table) -> pa.Table:
    """The shingles of each end in this shard, once for every bucket key that it is needed under."""
    edges = pairs_of(pairs)
    needed = np.unique(np.concatenate([edges[:, [0, 0]], edges]), axis=0)  # the key's id, and the id whose shingles are needed
    needed = needed[np.isin(needed[:, 1], table.column("id").to_numpy())]
    ids, places = np.unique(needed[:, 1], return_inverse=True)
    texts = table.column("text").take(pa.array(rows_of(ids)))
    lists = _to_lists(shingles_of(texts.to_pylist())).take(pa.array(places))
    return pa.table([keys_of(needed[:, 0]), needed[:, 1], lists], schema=SHINGLES)


def _members(table: pa.Table, groups: pa.Table) -> pa.Table:
    members = table.take(pa.array(rows_of(groups.column("id").to_numpy())))
    numbers = groups.column("group").to_numpy()
    return pa.table({"key": keys_of(numbers), "group": numbers, **order_columns(members)}, schema=MEMBERS)


def _survivors(rows: pa.Table) -> pa.Table:
    return lost(rows.column("id").to_numpy(), survivors(rows.column("group").to_numpy(), order_of(rows)))


def _to_lists(shingles: Shingles) -> pa.LargeListArray:
    return pa.LargeListArray.from_arrays(pa.array(shingles.offsets, pa.int64()), pa.array(shingles.values))


def _from_lists(lists: pa.LargeListArray) -> Shingles:
    offsets = lists.offsets.to_numpy()
    values = lists.values.to_numpy()[offsets[0] : offsets[-1]] if len(lists) else np.empty(0, dtype=np.uint32)
    return Shingles(values, offsets - offsets[0])
