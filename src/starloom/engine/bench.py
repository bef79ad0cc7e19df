"""How fast an engine is, and how near to the machine's limits that is, measured in the same minute.

A round measures a limit before and after what it bounds, and a share is of the better one; decoding is measured in turns with
reading and with decoding behind a long text. Shares are taken within a round, or a turn, and a report gives medians, because a
shared machine's speed moves more from minute to minute than kernels differ. Works on any `Core`; the ids are random, since no
speed depends on them. Knows no files, no requests and no printing.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from starloom.core.errors import SettingsError
from starloom.engine.core import PAGE, Core, Part
from starloom.engine.packed_file import PackedModel

PREFILL, LONG, DEPTH = 512, 2048, 2048
FIRST_TOKEN = 500
"""Tokens of the prompt whose first answer is timed."""

_TURNS = 16
_SMALLEST_TIME = 0.2  # seconds; what takes less is done several times

_Rates = tuple[float, ...]


@dataclass(frozen=True)
class Work:
    """What a token costs at least, whatever the engine.

    `operations` of a prompt token: two for each weight of the layers' matrices. `bytes_read` of a decoded token: every packed
    matrix and vector once, an embedding that is no head left out.
    """

    operations: int
    bytes_read: int

    @classmethod
    def of(cls, model: PackedModel) -> Work:
        """Count a packed model's."""
        layers = [tensor for name, tensor in model.tensors.items() if name not in ("embedding", "head")]
        weights = sum(tensor.rows * tensor.columns for tensor in layers if tensor.kind != "vector")
        read = [name for name in model.tensors if name != "embedding" or model.config.tie_word_embeddings]
        return cls(2 * weights, sum(len(model.bytes_of(name)) for name in read))


@dataclass(frozen=True)
class Machine:
    """Measures the limits: bytes a second that the model's weights can be read with, 8-bit operations a second."""

    read_bandwidth: Callable[[], float]
    int8_peak: Callable[[], float]


@dataclass(frozen=True)
class Round:
    """One round's rates (tokens a second), limits, and their ratios."""

    prefill: float
    prefill_long: float
    decode: float
    decode_deep: float
    first_token: float  # seconds
    read_bandwidth: float
    int8_peak: float
    prefill_share: float
    prefill_long_share: float
    decode_share: float
    deep_share: float  # of decoding from the start


@dataclass(frozen=True)
class Report:
    """Medians over the rounds, and the lengths that were measured (a small model's context may be shorter than asked for)."""

    rounds: Sequence[Round]
    short: int
    long: int
    depth: int
    peak_rss_bytes: int
    facts: dict[str, object] = field(default_factory=dict)

    @property
    def first(self) -> int:
        """Tokens of the prompt whose first answer was timed."""
        return min(FIRST_TOKEN, self.long)

    def median(self, name: str) -> float:
        """The median of a field of `Round`."""
        return float(statistics.median(getattr(one, name) for one in self.rounds))

    def spread(self, name: str) -> tuple[float, float]:
        """The least and the greatest."""
        values = [getattr(one, name) for one in self.rounds]
        return min(values), max(values)

    def as_dict(self) -> dict[str, object]:
        """What `starloom bench` prints as JSON."""
        return self.facts | {
            "prefill_tokens_per_s": self.median("prefill"),
            "decode_tokens_per_s": self.median("decode"),
            "first_token_ms": 1e3 * self.median("first_token"),
            "peak_rss_bytes": self.peak_rss_bytes,
            "read_bandwidth_share": self.median("decode_share"),
            "int8_peak_share": self.median("prefill_share"),
            "prefill_long_tokens_per_s": self.median("prefill_long"),
            "prefill_long_int8_peak_share": self.median("prefill_long_share"),
            "prefill_tokens": self.short,
            "prefill_long_tokens": self.long,
            "decode_deep_tokens_per_s": self.median("decode_deep"),
            "decode_deep_share": self.median("deep_share"),
            "decode_depth": self.depth,
            "read_bandwidth_bytes_per_s": self.median("read_bandwidth"),
            "int8_peak_operations_per_s": self.median("int8_peak"),
            "rounds": len(self.rounds),
        }


def measure(
    core: Core,
    work: Work,
    machine: Machine,
    *,
    rounds: int = 5,
    depth: int = DEPTH,
    decode_tokens: int = 32,
    first_token: Callable[[Sequence[int]], float] | None = None,
    facts: dict[str, object] | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Report:
    """Run `rounds` rounds after one that only warms up; a small model is measured as deep as its context goes.

    `first_token` gives the seconds from a prompt to its first answer; left out, that is one step of the core.
    Raises `SettingsError` when the model's context or its pages are too short to measure anything.
    """
    room = min(core.max_positions, core.num_pages * PAGE)
    if rounds < 1 or decode_tokens < 1 or depth < 0:
        raise SettingsError(f"rounds is {rounds}, decode_tokens {decode_tokens}, depth {depth}: too few to measure anything")
    if room < decode_tokens + PAGE:
        raise SettingsError(f"the model has room for {room} positions; measuring needs {decode_tokens + PAGE} at least")
    long, depth = min(LONG, room), min(depth, room - decode_tokens)
    runner = _Runner(core)
    runner.fill(depth)
    found = []
    for number in range(rounds + 1):
        one = _round(runner, work, machine, long, depth, decode_tokens, first_token or runner.first_token)
        if number:
            found.append(one)
        progress()
    return Report(found, min(PREFILL, long), long, depth, peak_rss_bytes(), facts or {})


def _round(
    runner: _Runner,
    work: Work,
    machine: Machine,
    long: int,
    depth: int,
    decode_tokens: int,
    first_token: Callable[[Sequence[int]], float],
) -> Round:
    peaks = [_best(machine.int8_peak)]
    prefill = _rate(lambda: runner.prefill(min(PREFILL, long)))
    peaks.append(_best(machine.int8_peak))
    prefill_long = _rate(lambda: runner.prefill(long))
    peaks.append(_best(machine.int8_peak))
    starts, readings, deeps = _decoding_in_turns(runner, machine, depth, max(1, decode_tokens // _TURNS))
    return Round(
        prefill=prefill,
        prefill_long=prefill_long,
        decode=statistics.median(starts),
        decode_deep=statistics.median(deeps),
        first_token=first_token(runner.random_ids(min(FIRST_TOKEN, long))),
        read_bandwidth=statistics.median(readings),
        int8_peak=max(peaks),
        prefill_share=prefill * work.operations / max(peaks[:2]),
        prefill_long_share=prefill_long * work.operations / max(peaks[1:]),
        decode_share=work.bytes_read * _median_ratio(starts, readings),
        deep_share=_median_ratio(deeps, starts),
    )


def _decoding_in_turns(runner: _Runner, machine: Machine, depth: int, tokens: int) -> tuple[_Rates, _Rates, _Rates]:
    """Tokens a second from the start, bytes a second of plain reading, tokens a second behind `depth` positions, turn by turn.

    On a shared machine the bandwidth itself may double within a second, so that only neighbours in time can be compared.
    """
    turns = [
        (_rate(lambda: runner.decode(0, tokens)), machine.read_bandwidth(), _rate(lambda: runner.decode(depth, tokens)))
        for _ in range(_TURNS)
    ]
    starts, readings, deeps = zip(*turns, strict=True)
    return starts, readings, deeps


def _median_ratio(these: _Rates, those: _Rates) -> float:
    return statistics.median(one / other for one, other in zip(these, those, strict=True))


def _best(limit: Callable[[], float]) -> float:
    """A limit is what the machine can do: the best of a few short looks, of which any may be disturbed."""
    return max(limit() for _ in range(3))


class _Runner:
    """Steps of one sequence that has all pages."""

    def __init__(self, core: Core) -> None:
        self._core, self._table = core, np.arange(core.num_pages, dtype=np.int32)
        self._random = np.random.default_rng(0)

    def random_ids(self, count: int) -> list[int]:
        return [int(token) for token in self._random.integers(0, self._core.vocab_size, count)]

    def fill(self, depth: int) -> None:
        """Put something into all pages up to `depth`, since reading memory that nobody has written costs less."""
        self._step(self.random_ids(PAGE), 0)
        for page in range(1, depth // PAGE + 1):
            self._core.copy_page(0, page)

    def prefill(self, count: int) -> tuple[int, float]:
        """Tokens and seconds of a prompt from an empty cache, in chunks as the scheduler makes them."""
        chunks = [self.random_ids(min(PREFILL, count - start)) for start in range(0, count, PREFILL)]
        began = time.perf_counter()
        for number, ids in enumerate(chunks):
            self._step(ids, number * PREFILL)
        return count, time.perf_counter() - began

    def decode(self, depth: int, count: int) -> tuple[int, float]:
        """Tokens and seconds of single tokens behind `depth` positions, which are taken as they are."""
        ids = self.random_ids(count)
        began = time.perf_counter()
        for place, token in enumerate(ids):
            self._step([token], depth + place)
        return count, time.perf_counter() - began

    def first_token(self, ids: Sequence[int]) -> float:
        began = time.perf_counter()
        int(self._step(ids, 0).argmax())
        return time.perf_counter() - began

    def _step(self, ids: Sequence[int], position: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        pages = -(-(position + len(ids)) // PAGE)
        return self._core.step([Part(ids, position, self._table[:pages])])


def _rate(run: Callable[[], tuple[int, float]]) -> float:
    """Tokens a second, over enough runs for a clock to measure."""
    tokens, seconds = 0, 0.0
    while seconds < _SMALLEST_TIME:
        more_tokens, more_seconds = run()
        tokens, seconds = tokens + more_tokens, seconds + more_seconds
    return tokens / seconds


def peak_rss_bytes() -> int:
    """The most memory that this process has held, mapped files among it; 0 where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
