"""`starloom bench`'s measuring, on a core and a machine whose times are known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from starloom.contract.presets import preset
from starloom.core.errors import SettingsError
from starloom.engine import bench
from starloom.engine.bench import Machine, Work, measure
from starloom.engine.core import PAGE
from starloom.engine.random_weights import random_packed


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class FakeCore:
    """Takes 1 ms for each row, and 9 ms more for each step; notes which positions it was given."""

    vocab_size, window = 64, None

    def __init__(self, clock, positions, num_pages=80, second_a_position=0.0):
        self.max_positions, self.num_pages, self._clock = positions, num_pages, clock
        self._second_a_position = second_a_position
        self.seen, self.filled = [], {0}

    def step(self, parts):
        (part,) = parts
        last = part.position + len(part.ids)
        assert last <= self.max_positions
        assert len(part.table) == -(-last // PAGE)
        self.seen.append((part.position, len(part.ids)))
        self._clock.now += 0.009 + 0.001 * len(part.ids) + self._second_a_position * part.position
        return np.zeros((1, self.vocab_size), np.float32)

    def copy_page(self, source, target):
        assert source != target
        assert target < self.num_pages
        self.filled.add(target)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(bench.time, "perf_counter", clock)
    return clock


MACHINE = Machine(read_bandwidth=lambda: 1e6, int8_peak=lambda: 1e7)


def test_rates_and_shares(clock):
    report = measure(FakeCore(clock, 4096), Work(operations=5000, bytes_read=7000), MACHINE, rounds=3, decode_tokens=8)
    values = report.as_dict()
    assert values["prefill_tokens_per_s"] == pytest.approx(512 / 0.521)
    assert values["prefill_long_tokens_per_s"] == pytest.approx(512 / 0.521)
    assert values["decode_tokens_per_s"] == pytest.approx(100)
    assert values["decode_deep_tokens_per_s"] == pytest.approx(100)
    assert values["first_token_ms"] == pytest.approx(509)
    assert values["read_bandwidth_share"] == pytest.approx(100 * 7000 / 1e6)
    assert values["int8_peak_share"] == pytest.approx(512 / 0.521 * 5000 / 1e7)
    assert (values["prefill_long_tokens"], values["decode_depth"], values["rounds"]) == (2048, 2048, 3)
    assert values["peak_rss_bytes"] > 1 << 20
    assert json.loads(json.dumps(values)) == values
    assert report.spread("decode") == pytest.approx((100, 100))


def test_a_short_context_is_measured_as_far_as_it_goes(clock):
    core = FakeCore(clock, 256)
    report = measure(core, Work(1, 1), MACHINE, rounds=1, decode_tokens=16)
    assert (report.long, report.depth) == (256, 240)
    assert max(position + count for position, count in core.seen) == 256
    assert core.filled == set(range(240 // PAGE + 1))


def test_another_depth(clock):
    core = FakeCore(clock, 4096)
    report = measure(core, Work(1, 1), MACHINE, rounds=1, depth=2300, decode_tokens=16)
    assert (report.long, report.depth) == (2048, 2300)
    assert core.filled == set(range(2300 // PAGE + 1))


def test_a_long_text_costs_speed(clock):
    core = FakeCore(clock, 4096, second_a_position=0.01 / 2048)
    values = measure(core, Work(1, 1), MACHINE, rounds=1, depth=2048, decode_tokens=16).as_dict()
    assert values["decode_deep_share"] == pytest.approx(0.5)
    assert values["decode_deep_tokens_per_s"] == pytest.approx(50)


def test_pages_bound_it_too(clock):
    report = measure(FakeCore(clock, 4096, num_pages=10), Work(1, 1), MACHINE, rounds=1, decode_tokens=16)
    assert (report.long, report.depth) == (320, 304)


def test_first_tokens_may_come_from_elsewhere(clock):
    asked = []

    def first_token(ids):
        asked.append(len(ids))
        return 0.25

    report = measure(FakeCore(clock, 4096), Work(1, 1), MACHINE, rounds=2, first_token=first_token)
    assert report.as_dict()["first_token_ms"] == 250
    assert asked == [500, 500, 500]  # one of them to warm up


@pytest.mark.parametrize(("positions", "rounds"), [(40, 1), (4096, 0)])
def test_what_cannot_be_measured_is_refused(clock, positions, rounds):
    with pytest.raises(SettingsError):
        measure(FakeCore(clock, positions), Work(1, 1), MACHINE, rounds=rounds)


@pytest.mark.parametrize("tied", [True, False])
def test_work_counts_layers_and_packed_bytes(tied):
    config = preset("debug", tie_word_embeddings=tied)
    work = Work.of(random_packed(config, "bf16"))
    joined = 64 + 2 * 2 * 16
    weights = 2 * (joined * 64 + 64 * 64 + 2 * 64 * 256)
    vectors = 2 * (joined + 64 + 256 + 64 + 4 * 64) + 2 * 64
    assert work.operations == 2 * weights
    assert work.bytes_read == 2 * weights + 2 * 512 * 64 + 4 * vectors
