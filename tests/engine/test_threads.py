"""The pool of threads, as far as Python sees it: how many, that results do not depend on it, that idle threads sleep."""

from __future__ import annotations

import os
import threading
import time

import numpy as np
import pytest

from starloom.engine import _native


def attend(threads: _native.Threads) -> np.ndarray:
    pages = _native.Pages(1, 2, 64, 20)
    qkv = np.random.default_rng(1).normal(size=(600, 8 * 64)).astype(np.float32)
    parts, tables, starts = np.array([[600, 0]], np.int32), np.arange(19, dtype=np.int32), np.array([0, 19], np.int32)
    return _native.attend(pages, 0, qkv, parts, tables, starts, 4, 0, 1e4, threads)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_any_number_of_threads_gives_the_same(count: int) -> None:
    pool = _native.Threads(count)
    assert pool.count == count
    np.testing.assert_allclose(attend(pool), attend(_native.Threads(1)), atol=2e-3)


@pytest.mark.parametrize("count", [0, -1, 1025])
def test_bad_counts_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"not {count}"):
        _native.Threads(count)


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("chunks", [0, 1, 2, 300])
def test_each_chunk_is_done_once(count: int, chunks: int) -> None:
    done: list[tuple[int, int]] = []
    _native.Threads(count).run(chunks, lambda chunk, thread: done.append((chunk, thread)))
    assert sorted(chunk for chunk, _ in done) == list(range(chunks))
    assert {thread for _, thread in done} <= set(range(count))


@pytest.mark.parametrize("count", [1, 3])
def test_an_error_comes_to_the_caller_and_the_pool_goes_on(count: int) -> None:
    pool = _native.Threads(count)

    def fail(chunk: int, _: int) -> None:
        if chunk >= 7:
            raise OSError("chunk seven or more")

    for _ in range(20):
        with pytest.raises(RuntimeError, match="chunk seven or more"):
            pool.run(12, fail)
    done: list[int] = []
    pool.run(12, lambda chunk, _: done.append(chunk))
    assert len(done) == 12


def test_two_callers_may_share_a_pool() -> None:
    pool, expected, wrong = _native.Threads(2), attend(_native.Threads(2)), []

    def call() -> None:
        for _ in range(5):
            if not np.allclose(attend(pool), expected, atol=2e-3):
                wrong.append(1)

    callers = [threading.Thread(target=call) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


def test_idle_workers_use_no_cpu_and_the_caller_keeps_its_cpus() -> None:
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    pool = _native.Threads(4)
    attend(pool)
    assert not before or os.sched_getaffinity(0) == before
    used = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - used < 0.05
    del pool


def test_many_pools_come_and_go() -> None:
    for count in (2, 5) * 20:
        _native.Threads(count)
