"""What a run leaves for people: `metrics.jsonl` (one object a line), TensorBoard events, and `loss.png`.

A resumed run drops the lines behind its checkpoint, so that the file reads as if the run had never stopped.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from torch.utils.tensorboard import SummaryWriter

from starloom.core.files import new_file, write_text


class Journal:
    """Append-only records of one run, keyed by step."""

    def __init__(self, folder: Path, *, first_step: int) -> None:
        self._folder = folder
        self._path = folder / "metrics.jsonl"
        kept = [line for line in self._lines() if line["step"] <= first_step]
        write_text(self._path, "".join(json.dumps(line) + "\n" for line in kept))
        self._stream = self._path.open("a")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=first_step + 1)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stream.close()
        self._board.close()

    def write(self, step: int, values: dict[str, float]) -> None:
        """Record `values` of `step` (1-based: steps done)."""
        self._stream.write(json.dumps({"step": step, **values}) + "\n")
        self._stream.flush()
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def sync(self) -> None:
        """Make sure that what was written is on the disk (called before a checkpoint)."""
        os.fsync(self._stream.fileno())

    def _lines(self) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        lines = []
        for text in self._path.read_text().splitlines():
            try:
                lines.append(json.loads(text))
            except json.JSONDecodeError:
                break  # the line that a killed run was writing
        return lines

    def plot(self) -> None:
        """Draw training loss and held-out bits per byte over tokens into `loss.png`."""
        lines = self._lines()
        figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), constrained_layout=True)
        _draw(left, lines, ["loss"], "training loss, nats a token")
        _draw(right, lines, ["held_out_plain", "held_out_psm", "held_out_spm"], "held out, bits a byte")
        with new_file(self._folder / "loss.png") as partial:
            figure.savefig(partial, format="png", dpi=110)
        pyplot.close(figure)


def _draw(axes: Any, lines: list[dict[str, Any]], names: list[str], title: str) -> None:
    for name in names:
        points = [(line["tokens"] / 1e6, line[name]) for line in lines if name in line]
        if points:
            axes.plot(*zip(*points, strict=True), label=name, linewidth=1)
            axes.legend()
    axes.set_xlabel("million tokens")
    axes.set_title(title)
    axes.grid(alpha=0.3)
