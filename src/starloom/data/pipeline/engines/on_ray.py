"""Tasks on a Ray cluster, one Ray task each; without an address in RAY_ADDRESS, on a Ray of this machine alone.

Ray's own tasks and not Daft's frames on Ray: those restart a process that a task kills without end (measured: over two
minutes for a task that exits at once), where here a task is tried twice and then named; and they give tasks out in fixed
partitions, where these go to whoever is free.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from starloom.core.errors import require
from starloom.data.pipeline.engines.engine import died
from starloom.data.pipeline.task import Outcome, Task, run_task


class RayEngine:
    """Runs at most `workers` tasks at a time on Ray. A Ray that runs in this process already is used and left running."""

    def __init__(self, workers: int) -> None:
        self._ray, self._workers = require("ray", "cluster"), workers
        self._own = False

    def __enter__(self) -> Self:
        if not self._ray.is_initialized():
            self._start()
            self._own = True
        remote = self._ray.remote(max_retries=1, num_cpus=1)
        self._remote = remote(run_task)
        return self

    def _start(self) -> None:
        options: dict[str, Any] = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": self._workers, "include_dashboard": False}
        self._ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._own:
            self._ray.shutdown()

    def run(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        """The outcomes, in the order in which they finish. Raises `PipelineError`."""
        todo, running = iter(tasks), {}
        for task in todo:
            running[self._remote.remote(task.to_json())] = task
            if len(running) >= self._workers:
                yield self._next(running)
        while running:
            yield self._next(running)

    def _next(self, running: dict[Any, Task]) -> Outcome:
        ready, _ = self._ray.wait(list(running), num_returns=1)
        task = running.pop(ready[0])
        try:
            return Outcome.from_json(self._ray.get(ready[0]))
        except (self._ray.exceptions.WorkerCrashedError, self._ray.exceptions.OutOfMemoryError) as error:
            raise died(task, (str(error).splitlines() or [""])[0]) from error
