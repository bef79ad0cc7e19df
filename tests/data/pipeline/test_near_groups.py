"""Connected groups by rounds over buckets, beside the same in one part."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline_world import hashes

from starloom.core.errors import PipelineError, SettingsError
from starloom.data.duplicates.candidates import distinct
from starloom.data.duplicates.components import both_ways, components
from starloom.data.pipeline.run import run
from starloom.data.pipeline.settings import DataSettings, NearSettings
from starloom.data.pipeline.shuffle import buckets_of
from starloom.data.pipeline.stages.near_groups import arcs, group_steps


def _by_rounds(edges: np.ndarray, rounds: int, buckets: int) -> dict[int, int]:
    *halves, last = group_steps(rounds)
    table = arcs(both_ways(edges))
    for half in halves:
        table = pa.concat_tables([half.function(part) for part in _parts(table, buckets)])
    found = [last.function(part).to_pydict() for part in _parts(table, buckets)]
    return {vertex: least for part in found for vertex, least in zip(part["id"], part["group"], strict=True)}


def _parts(table: pa.Table, buckets: int) -> list[pa.Table]:
    places = buckets_of(table.column("key").to_numpy(), buckets)
    return [table.take(pa.array(np.flatnonzero(places == bucket))) for bucket in range(buckets)]


@given(st.lists(st.tuples(st.integers(0, 25), st.integers(0, 25)), max_size=40), st.integers(1, 4))
def test_rounds_find_the_same_groups_as_one_part(pairs: list[tuple[int, int]], buckets: int) -> None:
    edges = distinct(np.array(pairs, dtype=np.int64).reshape(-1, 2))
    truth = components(edges)
    assert _by_rounds(edges, 8, buckets) == dict(zip(truth.vertices.tolist(), truth.least.tolist(), strict=True))


def test_too_few_rounds_are_an_error() -> None:
    chain = np.stack([np.arange(200), np.arange(1, 201)], axis=1)
    with pytest.raises(PipelineError, match=r"near\.rounds"):
        _by_rounds(chain, 1, 3)
    assert set(_by_rounds(chain, 9, 3).values()) == {0}
    with pytest.raises(SettingsError, match="at least 0"):
        NearSettings(rounds=-1)


def test_a_run_by_rounds_gives_the_same_documents(settings: DataSettings, finished: Path, tmp_path: Path) -> None:
    run(replace(settings, near=NearSettings(rounds=4)), str(tmp_path / "out"), workers=0)
    one, other = hashes(finished), hashes(tmp_path / "out")
    names = [name for name in one if name.startswith(("near/", "documents/", "verdict/"))]
    assert {name: other[name] for name in names} == {name: one[name] for name in names}
