"""A small core whose logits depend on every visible position through the pages: a wrong page, or a stale one, changes them.

At each position it stores a mix of the token, the position and all that the position sees; logits are drawn from that mix.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from starloom.engine.core import PAGE, Part

FACTOR, SALT = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03)


def mixed(value: np.ndarray) -> np.ndarray:
    value = (value ^ (value >> np.uint64(31))) * FACTOR
    value = (value ^ (value >> np.uint64(29))) * SALT
    return value ^ (value >> np.uint64(32))


class FakeCore:
    def __init__(
        self, *, num_pages: int = 64, vocab_size: int = 64, window: int | None = None, max_positions: int = 1024, flat: int = 0
    ) -> None:
        self.num_pages, self.vocab_size, self.window, self.max_positions = num_pages, vocab_size, window, max_positions
        self.pages = np.zeros((num_pages, PAGE), np.uint64)
        self.flat = flat  # so many bits of the mix decide: few make texts that repeat
        self.steps: list[list[tuple[int, int, int]]] = []  # (position, rows, logits) of each part of each step
        self.fail_at: set[int] = set()  # tokens that cannot be run

    def step(self, parts: Sequence[Part]) -> np.ndarray:
        assert parts
        self.steps.append([(part.position, len(part.ids), part.num_logits) for part in parts])
        if any(token in self.fail_at for part in parts for token in part.ids):
            raise RuntimeError("the fake core does not like this token")
        self._check_writes(parts)
        found = [np.stack([self._row(part, place, token) for place, token in enumerate(part.ids)]) for part in parts]
        rows = [rows[len(rows) - part.num_logits :] for part, rows in zip(parts, found, strict=True)]
        return np.concatenate(rows).astype(np.float32)

    def copy_page(self, source: int, target: int) -> None:
        assert source != target
        self.pages[target] = self.pages[source]

    def _check_writes(self, parts: Sequence[Part]) -> None:
        written: list[int] = []
        for part in parts:
            end = part.position + len(part.ids)
            assert 0 < len(part.ids) >= part.num_logits >= 0
            assert end <= self.max_positions
            assert len(part.table) == -(-end // PAGE)
            written += part.table[part.position // PAGE :].tolist()
        assert min(written) >= 0
        assert len(set(written)) == len(written), "two parts write to one page"

    def _row(self, part: Part, place: int, token: int) -> np.ndarray:
        assert 0 <= token < self.vocab_size
        position = part.position + place
        first = 0 if self.window is None else max(0, position - self.window + 1)
        pages = part.table[first // PAGE : position // PAGE + 1]
        assert (pages >= 0).all(), "a page that the window still sees is missing"
        seen = self.pages[pages].reshape(-1)[first % PAGE :][: position - first]
        with np.errstate(over="ignore"):
            own = mixed(np.uint64(token + 1) * FACTOR + np.uint64(position + 1) * SALT)
            total = mixed(own + (seen * mixed(np.arange(1, len(seen) + 1, dtype=np.uint64))).sum(dtype=np.uint64))
            self.pages[part.table[position // PAGE], position % PAGE] = total
            if self.flat:
                total = mixed(np.uint64(token) + np.uint64(position % self.flat) * FACTOR)
            each = mixed(total + np.arange(self.vocab_size, dtype=np.uint64) * FACTOR)
        return (each >> np.uint64(40)).astype(np.float64) / 2**20  # 0 to 16


class NoReuse:
    """The truth: one text alone in a core of its own, its pages in order."""

    def __init__(self, core: FakeCore) -> None:
        self.options = {
            "vocab_size": core.vocab_size,
            "window": core.window,
            "max_positions": core.max_positions,
            "flat": core.flat,
        }
        self._core = self._new()
        self._ids: list[int] = []

    def logits(self, ids: Sequence[int]) -> np.ndarray:
        """The logits behind the last of `ids`, [vocab_size]. What begins as before is not run again."""
        if list(ids[: len(self._ids)]) != self._ids or len(ids) == len(self._ids):
            self._core, self._ids = self._new(), []
        start, self._ids = len(self._ids), list(ids)
        table = np.arange(-(-len(ids) // PAGE), dtype=np.int32)
        return self._core.step([Part(ids[start:], start, table, 1)])[0]

    def _new(self) -> FakeCore:
        return FakeCore(num_pages=-(-self.options["max_positions"] // PAGE), **self.options)
