import random
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from starloom.data.duplicates.candidates import Edges, distinct
from starloom.data.duplicates.components import both_ways, components, downwards, large_star, of_stars, same_edges, small_star


def plain_components(edges: list[tuple[int, int]]) -> dict[int, int]:
    """The slow twin of `components`: a union of sets."""
    least = {vertex: vertex for edge in edges for vertex in edge}
    for _ in least:
        for one, other in edges:
            least[one] = least[other] = min(least[one], least[other])
    return least


def as_edges(edges: list[tuple[int, int]]) -> Edges:
    return distinct(np.array(edges, dtype=np.int64).reshape(-1, 2))


_pairs = st.tuples(st.integers(0, 30), st.integers(0, 30)).filter(lambda pair: pair[0] != pair[1])


@given(st.lists(_pairs, max_size=40))
def test_components_are_those_of_a_union_of_sets(edges: list[tuple[int, int]]) -> None:
    vertices, least = components(as_edges(edges))
    assert vertices.tolist() == sorted(plain_components(edges))
    assert dict(zip(vertices.tolist(), least.tolist(), strict=True)) == plain_components(edges)


def in_buckets(arcs: np.ndarray, count: int) -> list[np.ndarray]:
    return [arcs[arcs[:, 0] % count == bucket] for bucket in range(count)]


@settings(max_examples=30)
@given(st.lists(_pairs, max_size=60), st.integers(1, 4))
def test_rounds_in_buckets_end_as_in_one_piece(pairs: list[tuple[int, int]], count: int) -> None:
    edges = as_edges(pairs)
    expected = components(edges)
    while True:
        large = np.concatenate([large_star(bucket) for bucket in in_buckets(both_ways(edges), count)])
        turned = distinct(np.concatenate([small_star(bucket) for bucket in in_buckets(downwards(large), count)]))
        if same_edges(turned, edges):
            break
        edges = turned
    found = of_stars(edges)
    assert np.array_equal(found.vertices, expected.vertices)
    assert np.array_equal(found.least, expected.least)


def test_a_long_chain_takes_few_rounds() -> None:
    order = list(range(5000))
    random.Random(1).shuffle(order)
    edges = as_edges(list(pairwise(order)))
    rounds = 0
    while not same_edges(turned := small_star(downwards(large_star(both_ways(edges)))), edges):
        edges, rounds = turned, rounds + 1
    assert rounds <= 20
    assert (of_stars(edges).least == 0).all()


def test_no_edges() -> None:
    vertices, least = components(as_edges([]))
    assert len(vertices) == len(least) == 0


def test_ids_of_63_bits() -> None:
    great = 2**62
    assert components(as_edges([(great, great + 5), (great + 5, 3)])).least.tolist() == [3, 3, 3]
