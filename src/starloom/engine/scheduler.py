"""Which tokens of which tasks are run in the next step, and which pages they get.

All tasks that decode go first, a row each and some for guesses; what is left of the step is filled with pieces of prompts, in the
order of priority and arrival. When pages run out, the task that comes last in this order gives its own back and is run again
later: no task is ever lost. A task whose prompt another is just running waits for it, to share its pages.
Everything here happens in one thread; knows nothing of text, sampling or how steps are computed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from starloom.core.errors import EngineError, StarloomError
from starloom.engine.core import PAGE, Core, Part
from starloom.engine.requests import FinishReason
from starloom.engine.sequences import PageStore, Stored
from starloom.engine.statistics import Stats
from starloom.engine.tasks import F32, Task


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How large steps become.

    `step_rows` is the most rows of a step, `shared_rows` the most rows of prompts beside tasks that decode, which wait so long.
    `guess_rows` are shared by the guesses of all tasks that decode; `running` is how many tasks are run at once.
    """

    step_rows: int = 512
    shared_rows: int = 128
    guess_rows: int = 15
    running: int = 64

    def __post_init__(self) -> None:
        assert 0 < self.shared_rows <= self.step_rows, self
        assert self.running > 0 <= self.guess_rows, self


@dataclass
class _Run:
    """A task's share of a step: `count` pending tokens and a guess."""

    task: Task
    count: int
    guessed: list[int]

    def part(self) -> Part:
        task = self.task
        ids = [*task.ids[task.length : task.length + self.count], *self.guessed]
        num_logits = task.num_logits(self.count) + len(self.guessed)
        assert task.stored is not None
        return Part(ids, task.length, task.stored.part_table(len(ids)), num_logits)


class Scheduler:
    """The tasks of all requests, and the steps that run them."""

    def __init__(self, core: Core, limits: Limits = Limits(), clock: Callable[[], float] = time.monotonic) -> None:
        self.stats = Stats(pages=core.num_pages, pages_free=core.num_pages)
        self._core, self._limits, self._clock = core, limits, clock
        self._store = PageStore(core)
        self._running: list[Task] = []
        self._waiting: list[Task] = []

    @property
    def busy(self) -> bool:
        """Whether there is anything to run."""
        return bool(self._running or self._waiting)

    @property
    def num_waiting(self) -> int:
        """How many tasks have no pages."""
        return len(self._waiting)

    def needed_pages(self, capacity: int) -> int:
        """The pages without which a text of `capacity` positions can never be run."""
        seen = capacity if self._core.window is None else min(capacity, self._core.window + PAGE)
        return min(-(-capacity // PAGE), -(-seen // PAGE) + 1)

    def add(self, task: Task) -> None:
        """Take in a task."""
        self._waiting.append(task)

    def fail_all(self, error: Exception) -> None:
        """End all tasks without a result."""
        for task in [*self._running, *self._waiting]:
            task.fail(error)
        self._leave()

    def step(self) -> None:
        """End what was cancelled or is late, then run one step."""
        self._end_requests(self._clock())
        if not self.busy:
            return
        runs = self._plan()
        assert runs, "there is always a task that has the first right to all pages"
        self._run(runs)
        self._leave()
        self._count()

    def _end_requests(self, now: float) -> None:
        for task in [*self._running, *self._waiting]:
            reason: FinishReason | None = task.request.reason_to_end(now)
            if reason is not None and not task.finished:
                for one in [task, *task.forks()]:
                    one.end(reason)
        self._leave()

    def _leave(self) -> None:
        """Let finished tasks go; what they stored is kept for reuse."""
        if not any(task.finished for task in self._running) and not any(task.finished for task in self._waiting):
            return
        for task in self._running:
            if task.finished and task.stored is not None:
                task.stored.end(task.ids)
                task.stored = None
        self._running = [task for task in self._running if not task.finished]
        self._waiting = [task for task in self._waiting if not task.finished]

    # What a step runs

    def _plan(self) -> list[_Run]:
        runs: dict[int, _Run] = {}
        self._running.sort(key=_order)
        decoding = [task for task in self._running if task.pending == 1]
        most_guessed = self._limits.guess_rows // max(1, len(decoding))
        for task in decoding:
            if task.stored is not None and self._reserve(task, 1, runs):
                runs[id(task)] = _Run(task, 1, self._guess(task, most_guessed))
        left = self._limits.step_rows - sum(1 + len(run.guessed) for run in runs.values())
        if runs:
            left = min(left, self._limits.shared_rows)
        for task in sorted([*self._running, *self._waiting], key=_order):
            if left > 0 and id(task) not in runs and (run := self._piece(task, left, runs)):
                runs[id(task)] = run
                left -= run.count + len(run.guessed)
        return [*runs.values()]

    def _piece(self, task: Task, left: int, runs: dict[int, _Run]) -> _Run | None:
        """As much of a prompt as fits into `left` rows and the pages."""
        waiting = task.stored is None
        if waiting and not self._start(task):
            return None
        count = min(left, task.pending, task.most_rows)
        while count and not self._reserve(task, count, runs):
            count //= 2
        if not count:
            if waiting:
                self._stop(task)
            return None
        if not task.started:
            task.started = True
            self.stats.reused += task.length
        near = count == task.pending <= self._limits.guess_rows
        return _Run(task, count, self._guess(task, min(self._limits.guess_rows, left - count)) if near else [])

    def _start(self, task: Task) -> bool:
        """Let a waiting task begin with what is kept of its text, unless another one is just running the same."""
        if len(self._running) >= self._limits.running or self._better_wait(task):
            return False
        self._waiting.remove(task)
        task.stored = Stored(self._store, task.capacity)
        task.stored.reuse(task.ids, task.most_reused)
        self._running.append(task)
        self._running.sort(key=_order)
        return True

    def _better_wait(self, task: Task) -> bool:
        others = [other for other in self._running if other.pending > 1]
        shared = max((_shared(task.ids, other.ids[: other.num_needed]) for other in others), default=0) // PAGE * PAGE
        return shared > 0 and shared > self._store.tree.match(task.ids, task.most_reused).length

    def _guess(self, task: Task, most: int) -> list[int]:
        """A guess for which there are pages that nobody else needs."""
        guessed = task.guess(min(most, self._core.max_positions - len(task.ids))) if most > 0 else []
        assert task.stored is not None
        if guessed and not task.stored.reserve(task.pending + len(guessed)):
            return []
        return guessed

    # Pages

    def _reserve(self, task: Task, count: int, runs: dict[int, _Run]) -> bool:
        """Pages for `count` more positions, if need be those of tasks that come later and are not in this step."""
        assert task.stored is not None
        while not task.stored.reserve(count):
            last = next((other for other in reversed(self._running) if id(other) not in runs), task)
            if last.order <= task.order:
                return False
            self._stop(last)
            self.stats.preempted += 1
        return True

    def _stop(self, task: Task) -> None:
        """Give a running task's pages back; what nobody takes it will find again."""
        assert task.stored is not None
        task.stored.end(task.ids)
        task.stored = None
        self._running.remove(task)
        self.add(task)

    # Steps

    def _run(self, runs: list[_Run]) -> None:
        began = time.perf_counter()
        try:
            logits = self._core.step([run.part() for run in runs])
        except Exception as error:
            self._run_alone(runs, error)
            return
        self.stats.step_seconds += time.perf_counter() - began
        self.stats.steps += 1
        start = 0
        for run in runs:
            end = start + run.task.num_logits(run.count) + len(run.guessed)
            self._take(run, logits[start:end])
            start = end

    def _run_alone(self, runs: list[_Run], error: Exception) -> None:
        """After a step that failed: run each task by itself, so that only those fail that must."""
        if len(runs) > 1:
            for run in runs:
                self._run([run])
            return
        self._fail(runs[0].task, error)

    def _fail(self, task: Task, error: Exception) -> None:
        if not isinstance(error, StarloomError):
            error, cause = EngineError(f"the model failed to run this request ({type(error).__name__}: {error})"), error
            error.__cause__ = cause
        if task.stored is not None:
            task.stored.drop()
        for one in [task, *task.forks()]:
            one.fail(error)

    def _take(self, run: _Run, logits: F32) -> None:
        """Store a task's positions and let it go on by its logits; its forks too."""
        task, stored = run.task, run.task.stored
        assert stored is not None
        self.stats.evaluated += run.count + len(run.guessed)
        before, length, forks = len(task.ids), stored.length, task.forks() if len(logits) else []
        try:
            stored.advance(run.count)
            if forks:
                self._fork(task, forks, logits)
            right = task.take(logits, run.guessed)
        except Exception as error:
            for one in (task, *forks):
                self._fail(one, error)
            return
        stored.advance(right)
        self.stats.drawn += len(task.ids) - before
        self.stats.guessed, self.stats.accepted = self.stats.guessed + len(run.guessed), self.stats.accepted + right
        if not task.finished and stored.length // PAGE > length // PAGE:
            stored.keep(task.ids)

    def _fork(self, task: Task, forks: list[Task], logits: F32) -> None:
        """Let other completions of the same prompt go on from here; where there is no page, later from what is kept."""
        assert task.stored is not None
        task.stored.keep(task.ids)
        for fork in forks:
            fork.stored = task.stored.fork()
            if fork.stored is None:
                self.add(fork)
                continue
            self._running.append(fork)
            fork.take(logits[:1], [])
            self.stats.drawn += len(fork.ids) - len(task.ids)

    def _count(self) -> None:
        self.stats.running, self.stats.waiting = len(self._running), len(self._waiting)
        self.stats.pages_free, self.stats.pages_kept = self._store.pages.num_free, self._store.tree.num_pages


def _order(task: Task) -> tuple[float, int, int]:
    return task.order


def _shared(one: list[int], other: list[int]) -> int:
    """How many tokens both begin with."""
    size = min(len(one), len(other))
    if one[:size] == other[:size]:
        return size
    differ = np.flatnonzero(np.asarray(one[:size]) != np.asarray(other[:size]))
    return int(differ[0])
