"""What an engine is, and the engines by name. Knows nothing of what tasks compute."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Literal, Protocol, Self, TypeAlias, get_args

from starloom.core.errors import PipelineError, SettingsError
from starloom.data.pipeline.task import Outcome, Task

EngineName: TypeAlias = Literal["local", "daft", "ray"]


class Engine(Protocol):
    """A context manager that runs tasks."""

    def run(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        """The outcomes of all tasks, in the order in which they finish.

        A worker that dies is replaced and its task tried once more. Raises `PipelineError`, with the step and the part, when
        it dies again.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


def make_engine(name: EngineName, workers: int) -> Engine:
    """The engine called `name` with this many workers; `local` with none runs in this process. Raises `SettingsError`."""
    if name not in get_args(EngineName):
        raise SettingsError(f"there is no engine '{name}'; known are {', '.join(get_args(EngineName))}")
    if workers < (0 if name == "local" else 1):
        raise SettingsError(f"the number of workers is {workers}; it must be at least 1")
    if name == "daft":
        from starloom.data.pipeline.engines.on_daft import DaftEngine

        return DaftEngine(workers)
    if name == "ray":
        from starloom.data.pipeline.engines.on_ray import RayEngine

        return RayEngine(workers)
    from starloom.data.pipeline.engines.local import InProcess, LocalEngine

    return LocalEngine(workers) if workers else InProcess()


def died(task: Task, how: str) -> PipelineError:
    """The error for a task that took its worker with it twice."""
    return PipelineError(
        f"a worker died twice in step '{task.step}', part {task.part} ({how}): it may have run out of memory (fewer workers or "
        "smaller shards need less), or a library crashed; what is finished is kept, and the same command goes on from there"
    )
