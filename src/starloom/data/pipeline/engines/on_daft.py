"""Tasks as a frame of Daft, on its local runner: an asynchronous batch function, which hands each task to a process of ours.

Daft would start processes of its own for such a function, and end them with every frame (1 to 2.5 s a frame, and up to 5 s
more on a busy machine); ours live as long as the run, and say which task took one down. Daft's joins and groups are not
used, since locally they do not spill: a task reads and writes files as everywhere else.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

from starloom.core.errors import PipelineError, require
from starloom.data.pipeline.engines.processes import Processes
from starloom.data.pipeline.task import Outcome, Task

_running: list[Processes] = []  # a function must be picklable for Daft, so that it finds the processes here


class DaftEngine:
    """Runs tasks in `workers` processes, given out by Daft."""

    def __init__(self, workers: int) -> None:
        os.environ["DO_NOT_TRACK"] = "true"  # before the import: Daft reports its use unless told not to
        os.environ.setdefault("DAFT_PROGRESS_BAR", "0")
        os.environ.setdefault("DAFT_RUNNER", "native")
        self._daft = require("daft", "cluster")
        self._workers, self._processes = workers, Processes(workers)

    def run(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        """The outcomes, in the order in which Daft gives them. Raises `PipelineError`."""
        daft = self._daft
        as_batches = daft.func.batch(return_dtype=daft.DataType.string(), batch_size=1, max_concurrency=self._workers)
        frame = daft.from_pydict({"task": [task.to_json() for task in tasks]})
        for row in frame.select(as_batches(_outcomes)(frame["task"]).alias("outcome")).iter_rows():
            outcome = Outcome.from_json(row["outcome"])
            if outcome.died:
                raise PipelineError(outcome.error)
            yield outcome

    def __enter__(self) -> Self:
        _running.append(self._processes.__enter__())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _running.remove(self._processes)
        self._processes.__exit__(kind, error, trace)


async def _outcomes(tasks: Any) -> list[str]:
    """The outcomes of a batch, a Daft series of tasks."""
    return [json.dumps(asdict(await _outcome(Task(**json.loads(text))))) for text in tasks.to_pylist()]


async def _outcome(task: Task) -> Outcome:
    try:
        return await asyncio.wrap_future(_running[-1].submit(task))
    except PipelineError as error:
        return Outcome(task.step, task.part, error=str(error), died=True)
