"""The engine's thread: it takes tasks in, steps while there are any, and sleeps otherwise."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from starloom.core.errors import BusyError, EngineError
from starloom.engine.scheduler import Scheduler
from starloom.engine.tasks import Task


class Worker:
    """Runs a scheduler in a thread of its own. At most `most_waiting` requests wait to be taken up beside those that run."""

    def __init__(self, scheduler: Scheduler, most_waiting: int) -> None:
        self._scheduler, self._most_waiting = scheduler, most_waiting
        self._changed = threading.Condition()
        self._new: list[Sequence[Task]] = []
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="starloom-engine", daemon=True)
        self._thread.start()

    def submit(self, tasks: Sequence[Task]) -> None:
        """Hand in the tasks of one request. Raises `BusyError` when too many wait, `EngineError` when the engine is closed."""
        with self._changed:
            if self._closed:
                raise EngineError("the engine is closed: open another one")
            if len(self._new) + self._scheduler.num_waiting >= self._most_waiting:
                raise BusyError(f"the engine is busy: {self._most_waiting} requests are waiting already; try again later")
            self._new.append(tasks)
            self._changed.notify()

    def close(self) -> None:
        """End the thread; requests that run fail."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while self._take_in():
            began = time.perf_counter()
            try:
                self._scheduler.step()
            except Exception as error:
                failure = EngineError(f"the engine failed while it ran this request ({type(error).__name__}: {error})")
                failure.__cause__ = error
                self._scheduler.fail_all(failure)
            self._scheduler.stats.busy_seconds += time.perf_counter() - began
        self._scheduler.fail_all(EngineError("the engine was closed before this request was finished"))

    def _take_in(self) -> bool:
        """Wait until there is something to do; whether to go on."""
        with self._changed:
            while not (self._new or self._scheduler.busy or self._closed):
                self._changed.wait()
            for tasks in self._new:
                for task in tasks:
                    self._scheduler.add(task)
            self._new = []
            return not self._closed
