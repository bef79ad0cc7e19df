"""Progress bars on standard error, silent when it is not a terminal. Knows nothing of what is being counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Bar:
    """One running bar: `advance` moves it, `say` changes the text at its end."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def advance(self, amount: float = 1) -> None:
        """Move on by `amount` units."""
        self._progress.advance(self._task, amount)

    def say(self, text: str) -> None:
        """Replace the text behind the bar (rate, loss, current file ...)."""
        self._progress.update(self._task, note=text)


@contextmanager
def bar(title: str, total: float | None, *, done: int = 0) -> Iterator[Bar]:
    """Show a bar for a long command; `total` None means unknown."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield Bar(progress, progress.add_task(title, total=total, completed=done, note=""))
