"""Guesses against a naive search, and the policy of how much to guess against what it promises."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starloom.engine.odds import ROW_COST, Odds, RowCost
from starloom.engine.repeat_index import LONGEST, Match, RepeatIndex
from starloom.engine.speculation import RepeatGuesser, Speculation

ALL = 1 << 30  # look at every candidate
few_tokens = st.lists(st.integers(0, 2), max_size=80)
texts = st.lists(few_tokens, max_size=6)


def naive(stream: list[int], capacity: int, tail: list[int], shortest: int) -> tuple[int, int] | None:
    """(length, place) of the newest of the longest matches, by looking everywhere. Texts in `stream` end with -1."""
    oldest, best = max(0, len(stream) - capacity), None
    tail = tail[-LONGEST:]
    for place in range(oldest + 1, len(stream)):
        length = 0
        while length < min(len(tail), place - oldest) and stream[place - 1 - length] == tail[-1 - length]:
            length += 1
        if stream[place] != -1 and length >= shortest and (best is None or length >= best[0]):
            best = length, place
    return best


def stream_of(parts: list[list[int]]) -> list[int]:
    return [token for part in parts for token in [*part, -1]]


@given(texts, few_tokens, st.sampled_from([(2,), (5, 2), (8, 3)]), st.integers(9, 200))
def test_finds_the_newest_of_the_longest_matches(parts, tail, orders, capacity):
    index = RepeatIndex(capacity, orders=orders, candidates=ALL)
    for part in parts:
        index.add(part)
    match = index.find(tail)
    assert (match and (match.length, match.place)) == naive(stream_of(parts), capacity, tail, min(orders))


@given(texts, st.lists(st.integers(1, 40), max_size=20), few_tokens, st.integers(9, 120))
def test_one_by_one_and_in_bulk_are_the_same(parts, cuts, tail, capacity):
    tokens, bulk, single = stream_of(parts), RepeatIndex(capacity), RepeatIndex(capacity)
    for token in tokens:
        single.extend([token])
    start = 0
    for cut in cuts:
        bulk.extend(tokens[start : start + cut])
        start += cut
    bulk.extend(tokens[start:])
    assert bulk.size == single.size == len(tokens)
    assert bulk.find(tail) == single.find(tail)
    for one, other in zip(bulk._chains, single._chains, strict=True):
        assert list(one.before) == list(other.before)
        assert np.array_equal(one._newest, other._newest)


def test_a_match_goes_on_to_the_end_of_its_text():
    index = RepeatIndex(100)
    index.add([1, 2, 3, 4, 5])
    index.add([6, 7, 8])
    assert index.find([9, 1, 2, 3]) == Match(3, 3)
    assert index.after(Match(3, 3), 9) == [4, 5]
    assert index.after(Match(3, 3), 1) == [4]
    assert index.find([4, 5, 6]) is None


def test_what_repeats_repeats_on():
    index = RepeatIndex(100)
    index.extend([1, 2, 3] * 4)
    match = index.find([1, 2, 3] * 4)
    assert match == Match(9, 9)
    assert index.after(match, 8) == [1, 2, 3, 1, 2, 3, 1, 2]


def test_only_so_many_places_are_looked_at():
    index = RepeatIndex(1000, candidates=2)
    for extra in range(20):
        index.add([100 + extra, 1, 2, 3, 4])
    assert index.find([119, 1, 2, 3]).length == 4
    assert index.find([100, 1, 2, 3]).length == 3


def test_memory_does_not_grow():
    speculation = Speculation(capacity=64)
    for start in range(0, 3000, 3):
        speculation.learn(range(start, start + 30))
    assert speculation._index._ring.nbytes == 64 * 8
    assert len(speculation._learned) <= 1024
    guesser = speculation.guesser()
    assert guesser.guess([5, 6, 7], 4) == []
    assert guesser.guess([5, 6, 7, 3000, 3001, 3002], 4)[:1] == [3003]


def test_a_text_that_is_kept_is_taken_in_once():
    speculation = Speculation(capacity=100)
    for _ in range(3):
        speculation.learn([1, 2, 3])
    assert speculation._index.size == 4


def test_a_guess_comes_from_files_answers_and_the_request():
    speculation = Speculation()
    speculation.learn(range(100, 200))
    speculation.learn_answer(prompt=range(300, 400), answer=range(400, 416))
    speculation.learn_answer(prompt=range(9), answer=[])
    assert speculation.guesser().guess([*range(150, 160)], 2) == [160, 161]
    assert speculation.guesser().guess([*range(390, 401)], 3) == [401, 402, 403]  # the user typed what was proposed
    assert speculation.guesser().guess([7, 8, 9, 10, 1, 7, 8, 9], 2) == [10]
    assert speculation.guesser().guess([*range(150, 160)], 0) == []


def test_the_longest_match_wins_and_the_request_before_the_rest():
    speculation = Speculation()
    speculation.learn([1, 2, 3, 4, 50])
    assert speculation.guesser().guess([2, 3, 4, 60, 1, 2, 3, 4], 1) == [50]
    assert speculation.guesser().guess([1, 2, 3, 4, 60, 1, 2, 3, 4], 1) == [60]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(0, 8), st.randoms(use_true_random=False))
def test_a_guesser_sees_the_ids_that_are_new(ids, most, draw):
    speculation = Speculation(clock=lambda: 0.0)  # so that no look is felt
    guesser, start = speculation.guesser(), 0
    while start < len(ids):
        start += draw.randint(1, 5)
        guessed = guesser.guess(ids[:start], most)
        assert len(guessed) <= most
        assert set(guessed) <= set(ids)
        guesser.accept(len(guessed), draw.randint(0, len(guessed)))
    assert guesser._own.size == len(ids)


def saved(odds: Odds, chance: float, rounds: int, match: int, row_cost: float) -> float:
    """Steps saved by following `odds` for `rounds` steps when each token of a guess is right with `chance`."""
    draw, gain = random.Random(0), 0.0
    for _ in range(rounds):
        offered = odds.length(match, row_cost)
        accepted = next((i for i in range(offered) if draw.random() >= chance), offered)
        odds.count(match, offered, accepted) if offered else None
        gain += accepted - row_cost * offered
    return gain


@pytest.mark.parametrize("match", [3, 7, 15, 31, LONGEST])
def test_guesses_that_fail_cost_little_and_soon_nothing(match):
    odds = Odds()
    assert saved(odds, 0.0, 300, match, 0.1) > -0.03 * 300
    assert saved(odds, 0.0, 1000, match, 0.1) > -0.006 * 1000


def test_guesses_grow_while_they_come_true():
    odds = Odds()
    assert odds.length(8) < 8
    for _ in range(10):
        odds.count(8, 4, 4)
    assert odds.length(8) > 16


def test_guessing_begins_again_when_the_text_changes():
    odds = Odds()
    saved(odds, 0.0, 500, 8, 0.1)
    assert saved(odds, 0.95, 500, 8, 0.1) > 500


def test_a_guess_after_a_longer_match_is_trusted_more():
    assert [Odds().length(match) for match in (3, 8, 16, 32)] == sorted(Odds().length(match) for match in (3, 8, 16, 32))


def test_dear_rows_are_tried_less():
    assert [Odds().length(16, cost) for cost in (0.02, 0.1, 0.3, 0.79)] == [17, 10, 5, 1]
    assert Odds().length(2, 0.5) == 0


def test_a_rows_cost_is_learned_from_times():
    cost = RowCost()
    assert cost.share == ROW_COST
    cost.count(4, 9.0)  # nothing to compare with
    assert cost.share == ROW_COST
    for _ in range(100):
        cost.count(0, 2.0)
        cost.count(4, 2.0 + 4 * 0.5)
    assert cost.share == pytest.approx(0.25, abs=0.01)
    cost.count(0, 1000.0)
    cost.count(1, 1000.0)
    assert cost.share < 0.3
    assert cost.plain < 2.3


def test_guessers_time_their_steps():
    now = [0.0]
    speculation = Speculation(clock=lambda: now[0])
    guesser, ids = speculation.guesser(), [*range(20)] * 2
    for number in range(200):
        tried = len(guesser.guess(ids, 4 * (number % 2)))
        right = tried if number % 3 else 0
        now[0] += 1 + 0.3 * tried + 10 * right  # what comes true takes time of its own
        guesser.accept(tried, right)
        ids += [(ids[-1] + 1 + place) % 20 for place in range(right + 1)]
    assert speculation._row_cost.share == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize(("step", "least", "most"), [(1.0, 200, 200), (0.01, 25, 60)])
def test_looks_less_often_where_looking_is_felt(step, least, most):
    ticks, looks = [0.0], []

    class Slow(Speculation):
        def _guess(self, own, tail, most):
            looks.append(tail[-1])
            ticks[0] += 0.001
            return super()._guess(own, tail, most)

    guesser, ids = Slow(clock=lambda: ticks[0]).guesser(), [*range(50)]
    for token in range(50, 250):
        assert guesser.guess(ids, 4) == []
        guesser.accept(0, 0)
        ticks[0] += step
        ids.append(token)
    assert least <= len(looks) <= most
    assert len(ids[guesser._own.size :]) <= 8  # what was skipped is taken in at the next look


def test_stats_count_what_was_tried():
    speculation = Speculation()
    guesser = speculation.guesser()
    guesser.guess([1, 2, 3, 1, 2, 3, 1, 2, 3], 4)
    guesser.accept(2, 1)
    guesser.accept(0, 0)
    assert (speculation.stats.offered, speculation.stats.accepted) == (2, 1)


def test_threads_may_share_it():
    speculation = Speculation(capacity=2048)

    def request(seed: int) -> int:
        guesser, ids = speculation.guesser(), [seed % 7, *range(20)]
        for token in [*range(20)] * 5:
            guesser.accept(len(guessed := guesser.guess(ids, 4)), len(guessed))
            ids.append(token)
        speculation.learn_answer(ids[:20], ids[20:])
        return len(ids)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(request, range(40))) == [121] * 40


def test_a_hundred_thousand_tokens_are_kept_whole():
    index = RepeatIndex(1 << 17)
    tokens = np.random.default_rng(0).integers(0, 49152, 100_000).tolist()
    index.add(tokens)
    for place in (40, 5_000, 99_990):
        assert index.find(tokens[place - 40 : place]) == Match(LONGEST, place)
    assert isinstance(Speculation().guesser(), RepeatGuesser)
