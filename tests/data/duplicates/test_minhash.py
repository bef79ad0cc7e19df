import random

import numpy as np
import pytest

from starloom.core.errors import SettingsError
from starloom.data.duplicates import minhash
from starloom.data.duplicates.minhash import DEFAULT, NUM_PERMUTATIONS, PUBLISHED, Banding, band_keys, signatures
from starloom.data.duplicates.shingles import Shingles, shingles_of
from starloom.data.duplicates.verification import similarities


@pytest.fixture(scope="module")
def pairs() -> Shingles:
    """The shingles of 400 texts; 2 k and 2 k + 1 are alike, more and less."""
    draw = random.Random(1)
    texts = []
    for number in range(200):
        words = [str(draw.random()) for _ in range(100 + number % 40)]
        texts += [" ".join(words[:100]), " ".join(words[number % 40 :])]
    return shingles_of(texts)


@pytest.fixture(scope="module")
def truth(pairs: Shingles) -> np.ndarray:
    return similarities(np.arange(400).reshape(-1, 2), pairs)


def plain_signature(values: list[int]) -> list[int]:
    """The slow twin of `signatures` for one set."""
    factors, offsets = minhash._functions()
    return [
        min((value * factor + offset) % 2**32 for value in values)
        for factor, offset in zip(factors.tolist(), offsets.tolist(), strict=True)
    ]


def test_signatures_are_the_least_values_of_the_functions(pairs: Shingles) -> None:
    minima = signatures(pairs)
    assert minima.shape == (400, NUM_PERMUTATIONS)
    for text in (0, 7, 399):
        assert minima[text].tolist() == plain_signature(pairs.taken(np.array([text])).values.tolist())


def test_pieces_and_fewer_permutations_change_nothing(pairs: Shingles, monkeypatch: pytest.MonkeyPatch) -> None:
    minima = signatures(pairs)
    monkeypatch.setattr(minhash, "PIECE_SHINGLES", 500)
    assert np.array_equal(signatures(pairs), minima)
    assert np.array_equal(signatures(pairs, 40), minima[:, :40])


def test_minima_agree_as_often_as_sets_are_similar(pairs: Shingles, truth: np.ndarray) -> None:
    """The estimate has no bias: over 200 pairs and 250 functions its error has a deviation of 0.002."""
    minima = signatures(pairs)
    agreement = (minima[0::2] == minima[1::2]).mean(axis=1)
    assert 0.3 < truth.min() < 0.6 < truth.max()
    assert abs((agreement - truth).mean()) < 0.01
    assert np.abs(agreement - truth).max() < 0.15


@pytest.mark.parametrize("banding", [DEFAULT, PUBLISHED, Banding(50, 5)])
def test_keys_are_shared_as_often_as_the_formula_says(pairs: Shingles, truth: np.ndarray, banding: Banding) -> None:
    keys = band_keys(signatures(pairs), banding)
    assert keys.shape == (400, banding.bands)
    shared = keys[0::2] == keys[1::2]
    assert shared.mean() == pytest.approx((truth**banding.rows).mean(), abs=0.03)
    expected = np.mean([banding.probability(similarity) for similarity in truth.tolist()])
    assert shared.any(axis=1).mean() == pytest.approx(expected, abs=0.06)


def test_keys_are_equal_exactly_where_the_rows_of_minima_are(pairs: Shingles) -> None:
    minima = signatures(pairs)
    keys = band_keys(minima)
    rows = minima[:, : DEFAULT.bands * DEFAULT.rows].reshape(400, DEFAULT.bands, DEFAULT.rows)
    assert np.array_equal(keys[0::2] == keys[1::2], (rows[0::2] == rows[1::2]).all(axis=2))
    assert len(np.unique(keys.ravel())) > 400  # bands do not share keys
    same = np.zeros((1, NUM_PERMUTATIONS), dtype=np.uint32)
    assert len(np.unique(band_keys(same))) == DEFAULT.bands


def test_a_set_without_shingles_has_the_greatest_minima() -> None:
    minima = signatures(shingles_of(["", "a b c d e", "", ""]))
    assert (minima[[0, 2, 3]] == 0xFFFFFFFF).all()
    assert (minima[1] != 0xFFFFFFFF).any()
    assert signatures(shingles_of([])).shape == (0, NUM_PERMUTATIONS)


def test_published_probabilities() -> None:
    assert [round(PUBLISHED.probability(similarity), 2) for similarity in (0.6, 0.7, 0.75, 0.8)] == [0.14, 0.51, 0.77, 0.94]
    assert DEFAULT.probability(0.75) > 0.99


@pytest.mark.parametrize(("bands", "rows"), [(0, 5), (5, 0), (51, 5)])
def test_bandings_that_cannot_be(bands: int, rows: int) -> None:
    with pytest.raises(SettingsError, match=rf"{bands} bands of {rows} rows.*at most 250"):
        Banding(bands, rows)
