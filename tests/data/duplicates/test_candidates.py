import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from starloom.data.duplicates.candidates import BandRows, band_rows, candidates, distinct
from starloom.data.duplicates.minhash import band_keys, signatures
from starloom.data.duplicates.shingles import shingles_of


def rows_of(rows: list[tuple[int, int, int]]) -> BandRows:
    keys, sizes, ids = zip(*rows, strict=True) if rows else ((), (), ())
    return BandRows(np.array(keys, np.uint64), np.array(sizes, np.uint32), np.array(ids, np.int64))


def plain_candidates(rows: list[tuple[int, int, int]], threshold: float) -> list[list[int]]:
    """The slow twin of `candidates` with a window without end."""
    return sorted(
        {
            (min(one[2], other[2]), max(one[2], other[2]))
            for one in rows
            for other in rows
            if one[0] == other[0] and one[2] != other[2] and one[1] >= threshold * other[1] and other[1] >= threshold * one[1]
        }
    )


_rows = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 9), st.integers(0, 9)), max_size=16, unique_by=lambda row: row[::2])


@given(_rows, st.sampled_from([0.0, 0.5, 0.7]))
def test_small_groups_are_paired_all_with_all(rows: list[tuple[int, int, int]], threshold: float) -> None:
    sizes = {row[2]: row[1] for row in rows}
    rows = [(key, sizes[identity], identity) for key, _, identity in rows]
    found = candidates(rows_of(rows), threshold)
    assert found.dtype == np.int64
    assert [tuple(pair) for pair in found.tolist()] == plain_candidates(rows, threshold)


@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(draw: random.Random) -> None:
    rows = [(draw.randrange(3), draw.randrange(1, 5), number) for number in range(100)]
    found = candidates(rows_of(rows), window=4)
    draw.shuffle(rows)
    assert np.array_equal(candidates(rows_of(rows), window=4), found)


def test_a_large_group_costs_its_members_not_their_square() -> None:
    rows = BandRows(np.zeros(10_000, np.uint64), np.full(10_000, 7, np.uint32), np.arange(10_000))
    found = candidates(rows, window=8)
    assert len(found) == 8 * 10_000 - 36
    assert (found[:, 1] - found[:, 0]).max() == 8


def test_like_sizes_are_neighbours_in_a_large_group() -> None:
    draw = random.Random(1)
    sizes = [100 * 2 ** (number % 10) for number in range(1000)]
    draw.shuffle(sizes)
    found = candidates(rows_of([(5, size, number) for number, size in enumerate(sizes)]), window=1)
    assert {sizes[one] / sizes[other] for one, other in found.tolist()} == {1.0}
    assert len(found) == 990


def test_nothing_in_nothing_out() -> None:
    assert candidates(rows_of([])).shape == (0, 2)
    assert candidates(rows_of([(1, 1, 1), (2, 1, 2)])).shape == (0, 2)


def test_texts_without_shingles_send_no_rows() -> None:
    shingles = shingles_of(["", "a b c d e", "x", "a b c d e"])
    rows = band_rows(band_keys(signatures(shingles)), shingles, np.array([7, 8, 9, 1 << 40]))
    assert set(rows.ids.tolist()) == {8, 1 << 40}
    assert candidates(rows).tolist() == [[8, 1 << 40]]


def test_distinct_pairs() -> None:
    assert distinct(np.array([[3, 1], [2, 2], [1, 3], [0, 9], [1, 2]])).tolist() == [[0, 9], [1, 2], [1, 3]]
