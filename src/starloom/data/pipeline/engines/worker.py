"""A worker process: reads tasks from standard input, one a line, and writes outcomes.

It ends when its input ends, even in the middle of a task, so that nothing goes on after the run's own process was killed.
What libraries print goes to standard error.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading

from starloom.data.pipeline.task import run_task


def main() -> None:
    """Work until there is no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run's own process decides
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    tasks: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(tasks,), daemon=True).start()
    while True:
        answers.write(run_task(tasks.get()) + "\n")
        answers.flush()


def _listen(tasks: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        tasks.put(line)
    os._exit(0)


if __name__ == "__main__":
    main()
