"""Tasks on this machine, in processes of their own or one after the other in this one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from types import TracebackType
from typing import Self

from starloom.data.pipeline.engines.processes import Processes
from starloom.data.pipeline.task import Outcome, Task, run_task


class InProcess:
    """Runs tasks one after the other in this process."""

    def run(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        """The outcomes, in the order of the tasks."""
        for task in tasks:
            yield Outcome.from_json(run_task(task.to_json()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing to end."""


class LocalEngine(Processes):
    """Runs tasks in processes, the next task in whichever is free."""

    def run(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        """The outcomes, in the order in which they finish. Raises `PipelineError`."""
        for future in as_completed([self.submit(task) for task in tasks]):
            yield future.result()
