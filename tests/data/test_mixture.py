import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starloom.core.errors import SettingsError
from starloom.core.settings import from_mapping, to_mapping
from starloom.data import linguist
from starloom.data.mixture import STACK_V2_CAPS, Mixture, copies

TOTALS = {("git", "Java"): 600, ("git", "C"): 100, ("debian", "Java"): 200, ("debian", "HTML"): 50}


@pytest.mark.parametrize(
    ("mixture", "rates"),
    [
        (Mixture(), dict.fromkeys(TOTALS, 1.0)),
        (Mixture(language_caps={"Java": 400}), {**dict.fromkeys(TOTALS, 1.0), ("git", "Java"): 0.5, ("debian", "Java"): 0.5}),
        (Mixture(language_caps={"Java": 800}), dict.fromkeys(TOTALS, 1.0)),
        (
            Mixture(language_weights={"C": 3, "HTML": 0}, source_weights={"debian": 0.5}),
            {("git", "Java"): 1.0, ("git", "C"): 3.0, ("debian", "Java"): 0.5, ("debian", "HTML"): 0.0},
        ),
        (Mixture(source_caps={"git": 350}), {**dict.fromkeys(TOTALS, 1.0), ("git", "Java"): 0.5, ("git", "C"): 0.5}),
        (Mixture(language_caps={"Ruby": 1}, source_caps={"elsewhere": 0}), dict.fromkeys(TOTALS, 1.0)),
        (Mixture(language_caps={"Java": 0}), {**dict.fromkeys(TOTALS, 1.0), ("git", "Java"): 0.0, ("debian", "Java"): 0.0}),
    ],
)
def test_rates(mixture: Mixture, rates: dict[tuple[str, str], float]) -> None:
    assert mixture.rates(TOTALS) == rates


names = st.sampled_from(["C", "D", "Java"])
amounts = st.dictionaries(st.tuples(names, names), st.integers(0, 10**12), max_size=9)
weights = st.dictionaries(names, st.floats(0, 5), max_size=3)
caps = st.dictionaries(names, st.integers(0, 10**12), max_size=3)


@given(amounts, weights, weights, caps, caps)
def test_no_cap_is_exceeded(
    totals: dict[tuple[str, str], int],
    languages: dict[str, float],
    sources: dict[str, float],
    language_caps: dict[str, int],
    source_caps: dict[str, int],
) -> None:
    rates = Mixture(languages, sources, language_caps, source_caps).rates(totals)
    assert rates.keys() == totals.keys()
    for part, limits in ((1, language_caps), (0, source_caps)):
        for name, cap in limits.items():
            size = math.fsum(totals[key] * rates[key] for key in totals if key[part] == name)
            assert size <= cap * (1 + 1e-9) + 1e-6


@given(st.text(max_size=20), st.floats(0, 4), st.floats(0, 4), st.integers(0, 5))
def test_a_higher_rate_takes_what_a_lower_one_took(file_id: str, one: float, other: float, seed: int) -> None:
    low, high = sorted((one, other))
    assert math.floor(low) <= copies(file_id, low, seed) <= math.ceil(low)
    assert copies(file_id, low, seed) <= copies(file_id, high, seed)


def test_the_expected_number_is_taken_and_another_seed_takes_others() -> None:
    ids = [f"file {number}" for number in range(4000)]
    taken = [copies(name, 1.25, 0) for name in ids]
    assert set(taken) == {1, 2}
    assert 0.22 < taken.count(2) / len(ids) < 0.28
    assert taken != [copies(name, 1.25, 1) for name in ids]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"language_weights": {"C": -1.0}}, r"language_weights\['C'\] is -1.0"),
        ({"source_weights": {"git": float("nan")}}, r"source_weights\['git'\] is nan"),
        ({"source_caps": {"git": -5}}, r"source_caps\['git'\] is -5"),
        ({"language_caps": {"javascript": 5}}, "language_caps names the language 'javascript', .* calls it 'JavaScript'"),
        ({"language_weights": {"Pyton": 5}}, "language_weights names the language 'Pyton', which there is not$"),
    ],
)
def test_bad_numbers_are_named_back(setting: dict[str, dict[str, float]], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Mixture(**setting)  # type: ignore[arg-type]


def test_settings_come_from_plain_values() -> None:
    mixture = Mixture(language_weights={"C": 2.0}, language_caps={"Java": 5})
    assert from_mapping(Mixture, to_mapping(mixture)) == mixture


def test_the_published_caps_name_linguists_languages() -> None:
    assert all(linguist.canonical(name) == name for name in STACK_V2_CAPS)
    assert STACK_V2_CAPS["Java"] == 200_000_000_000
