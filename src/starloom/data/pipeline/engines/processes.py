"""Processes of this machine that run tasks, each a fresh interpreter: libraries made from Go hang in forked ones.

One thread here for each process gives it a task as a line of text and waits for a line. A process that dies ends its line of
answers, which is how its death is seen: it is replaced and the task tried once more.
"""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
from concurrent.futures import Future
from contextlib import suppress
from types import TracebackType
from typing import Self, TypeAlias

from starloom.data.pipeline.engines.engine import died
from starloom.data.pipeline.task import Outcome, Task

_COMMAND = [sys.executable, "-m", "starloom.data.pipeline.engines.worker"]
_Item: TypeAlias = tuple[Task, "Future[Outcome]"]


class Processes:
    """A context manager over `workers` processes, which start with their first task and live until it is left."""

    def __init__(self, workers: int) -> None:
        self._todo: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._workers = [_Worker(self._todo) for _ in range(workers)]

    def submit(self, task: Task) -> Future[Outcome]:
        """Give out a task. The future raises `PipelineError` when the task takes its process with it twice."""
        future: Future[Outcome] = Future()
        self._todo.put((task, future))
        return future

    def __enter__(self) -> Self:
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End all processes, whatever they are doing: what they have not finished does not exist."""
        for worker in self._workers:
            worker.stop()
        for _ in self._workers:
            self._todo.put(None)
        for worker in self._workers:
            worker.join()


class _Worker(threading.Thread):
    """The thread that feeds one process."""

    def __init__(self, todo: queue.SimpleQueue[_Item | None]) -> None:
        super().__init__(daemon=True)
        self._todo = todo
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._stopped = False

    def run(self) -> None:
        while (item := self._todo.get()) is not None:
            task, future = item
            if self._stopped:
                future.cancel()
                continue
            try:
                future.set_result(self._twice(task))
            except Exception as error:
                future.set_exception(error)
        if self._process is not None:
            _close(self._process)

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._process.kill()

    def _twice(self, task: Task) -> Outcome:
        for _ in range(2):
            if answer := self._ask(task):
                return Outcome.from_json(answer)
        code = None if self._process is None else self._process.returncode
        raise died(task, f"the process ended with code {code}")

    def _ask(self, task: Task) -> str:
        """The answer of the process, empty when it has died."""
        process = self._running()
        if process is None:
            return ""
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(task.to_json() + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            _close(process)
        return answer

    def _running(self) -> subprocess.Popen[str] | None:
        with self._lock:
            if self._stopped:
                return None
            if self._process is None or self._process.poll() is not None:
                self._process = subprocess.Popen(_COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            return self._process


def _close(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(BrokenPipeError):
                stream.close()
