import hashlib
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starloom.core.errors import SettingsError
from starloom.data.duplicates.exact import digest_words, digests, exact_survivors
from starloom.data.duplicates.survivors import LicenceType, published_order, survivors

Row = tuple[LicenceType, bool, int, int]
PLAIN: Row = ("permissive", False, 10, 100)


def order_of(rows: list[Row], ids: list[int] | None = None) -> list[np.ndarray]:
    types, vendored, stars, dates = zip(*rows, strict=True)
    return published_order(types, np.array(vendored), np.array(stars), np.array(dates), np.array(ids or range(len(rows))))


@pytest.mark.parametrize(
    "worse",
    [
        ("no_licence", False, 99, 999),
        ("non_permissive", False, 99, 999),
        ("permissive", True, 99, 999),
        ("permissive", False, 9, 999),
        ("permissive", False, 10, 99),
        ("permissive", False, 10, -(2**63)),
        PLAIN,  # the greater id
    ],
)
def test_the_published_order(worse: Row) -> None:
    groups = np.zeros(2, dtype=np.int64)
    assert survivors(groups, order_of([PLAIN, worse])).tolist() == [0, 0]
    assert survivors(groups, order_of([worse, PLAIN], ids=[1, 0])).tolist() == [1, 1]


def test_no_licence_comes_before_a_licence_that_is_not_permissive() -> None:
    order = order_of([("non_permissive", False, 10, 100), ("no_licence", True, 0, 0)])
    assert survivors(np.zeros(2, dtype=np.int64), order).tolist() == [1, 1]


def test_a_licence_type_that_is_none() -> None:
    with pytest.raises(SettingsError, match=r"'copyleft' is not a licence type; these are: permissive, no_licence"):
        order_of([("copyleft", False, 0, 0)])  # type: ignore[list-item]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=30), st.randoms(use_true_random=False))
def test_the_first_of_each_group_stays_whatever_the_order_of_rows(rows: list[tuple[int, int]], draw: random.Random) -> None:
    numbered = [(group, merit, number) for number, (group, merit) in enumerate(rows)]
    draw.shuffle(numbered)
    groups, merits, ids = np.array(numbered, dtype=np.int64).reshape(-1, 3).T
    found = survivors(groups, [merits, ids])
    for row, (group, _, _) in enumerate(numbered):
        best = min(item for item in numbered if item[0] == group)
        assert numbered[found[row]] == best


def test_exact_duplicates_are_equal_bytes() -> None:
    contents = [b"a", b"b", b"a", b"", b"a ", b"", b"a"]
    ranks = np.array([5, 1, 2, 4, 3, 0, 6])
    assert exact_survivors(digests(contents), [ranks]).tolist() == [2, 1, 2, 5, 4, 5, 2]
    assert exact_survivors(digests([]), [ranks[:0]]).tolist() == []


def test_half_a_digest_in_common_is_not_enough() -> None:
    words = np.array([[1, 1], [1, 2], [1, 1]], dtype=np.uint64)
    assert exact_survivors(words, [np.arange(3)]).tolist() == [0, 1, 0]


def test_digests_are_those_of_sha256() -> None:
    whole = hashlib.sha256(b"text").digest()
    assert digests([b"text"]).tolist() == [[int.from_bytes(whole[:8], "big"), int.from_bytes(whole[8:16], "big")]]
    assert np.array_equal(digest_words([whole]), digests([b"text"]))
