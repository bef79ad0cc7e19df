"""One task: a part of a step, computed from files to a file. What every engine runs, wherever it runs.

A task is a short text (JSON) and so is its outcome: nothing but files and these passes between processes, so that the
outcome cannot depend on the engine.
"""

from __future__ import annotations

import json
import os
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from starloom.core.errors import MismatchError, StarloomError
from starloom.data.pipeline.columns import Aligned, Written, cut, write_file
from starloom.data.pipeline.layout import Layout, read_layout
from starloom.data.pipeline.markers import Marker, output_name, plan_digest, write_marker
from starloom.data.pipeline.markers import digest as digest_of
from starloom.data.pipeline.shuffle import buckets_of, read_rows, shards_of, write_rows
from starloom.data.pipeline.step import KEPT, Ingest, Plan, Step
from starloom.data.pipeline.storage import Storage, storage_at


@dataclass(frozen=True, slots=True)
class Task:
    """Compute part `part` of step `step` of the run at `run`; `digest` names its layout and plan."""

    run: str
    digest: str
    step: str
    part: int
    fingerprint: str

    def to_json(self) -> str:
        """The task as text."""
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a task: `error` is a message for people, `trace` is set when the mistake is ours.

    `died` says that the task took its process with it, so that the message names the step and the part already.
    """

    step: str
    part: int
    rows: int = 0
    seconds: float = 0.0
    error: str | None = None
    trace: str | None = None
    died: bool = False

    @classmethod
    def from_json(cls, text: str) -> Outcome:
        """An outcome from its text."""
        return cls(**json.loads(text))


def run_task(text: str) -> str:
    """Run one task. Every error comes back in the outcome, never as an exception."""
    task = Task(**json.loads(text))
    try:
        outcome = _run(task)
    except StarloomError as error:
        outcome = Outcome(task.step, task.part, error=str(error))
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
        outcome = Outcome(task.step, task.part, error=message, trace=traceback.format_exc())
    return json.dumps(asdict(outcome))


@cache
def _opened(run: str, digest: str) -> tuple[Storage, Layout, Plan]:
    """What the tasks of one run share in a process."""
    from starloom.data.pipeline.plan import make_plan

    storage = storage_at(run)
    layout = read_layout(storage)
    plan = make_plan(layout.settings)
    if named(layout, plan) != digest:
        raise MismatchError(
            f"this worker does not see the run at '{run}' as the run's own process does: its lists, benchmarks, rules or the "
            "versions of its libraries are others, or the run was started a second time with other settings"
        )
    return storage, layout, plan


def named(layout: Layout, plan: Plan) -> str:
    """The digest of a layout and a plan, which all processes of a run must agree on."""
    return digest_of(layout.digest, plan_digest(plan))


def _run(task: Task) -> Outcome:
    begun, processor = time.perf_counter(), processor_seconds()
    storage, layout, plan = _opened(task.run, task.digest)
    if task.step == plan.ingest.name:
        written, notes = _ingest(storage, plan.ingest, task.part, layout.sources_of(task.part))
    else:
        written, notes = _Runner(storage, layout, plan, plan.step(task.step), task.part).run(), {}
    seconds = time.perf_counter() - begun
    used = processor_seconds() - processor
    marker = Marker(task.fingerprint, written.rows, written.bytes, round(seconds, 3), round(used, 3), notes)
    write_marker(storage, task.step, task.part, marker)
    return Outcome(task.step, task.part, written.rows, seconds)


def processor_seconds() -> float:
    """Processor seconds of this process and of those that it started and that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _ingest(storage: Storage, ingest: Ingest, part: int, sources: tuple[str, ...]) -> tuple[Written, dict[str, Any]]:
    groups = ingest.function(part, sources)
    return write_file(storage, output_name(ingest.name, part), ingest.schema, groups), {"sources": list(sources)}


class _Runner:
    """Runs one part of a step that is not the first."""

    def __init__(self, storage: Storage, layout: Layout, plan: Plan, step: Step, part: int) -> None:
        self._storage, self._layout, self._plan, self._step, self._part = storage, layout, plan, step, part
        self._name = output_name(step.name, part, sent=step.sends)

    def run(self) -> Written:
        if not self._step.sends:
            return write_file(self._storage, self._name, self._step.schema, self._checked(self._outputs()))
        tables = [self._step.schema.empty_table(), *(output for output, _ in self._outputs())]
        table = pa.concat_tables(tables).combine_chunks()
        return write_rows(self._storage, self._name, table, *self._receivers(table))

    def _outputs(self) -> Iterator[tuple[pa.Table, int]]:
        """What the function gives, with the number of rows that came in."""
        step = self._step
        if step.reads and not step.takes and not step.whole:
            for table in self._columns().groups():
                yield step.function(self._with_kept(table)), table.num_rows
            return
        inputs = [self._with_kept(self._columns().table())] if step.reads else []
        num_rows = inputs[0].num_rows if inputs else 0
        output = step.function(*inputs, *map(self._rows, step.takes))
        if step.gives == "columns" and step.reads:
            assert output.num_rows == num_rows, f"{step.name}: {output.num_rows} rows from {num_rows}"
            sizes = self._columns().group_sizes()
            yield from ((piece, piece.num_rows) for piece in cut(output, sizes))
        else:
            yield output, num_rows

    def _checked(self, outputs: Iterator[tuple[pa.Table, int]]) -> Iterator[pa.Table]:
        for table, rows in outputs:
            if self._step.gives == "columns":
                assert table.num_rows == rows, f"{self._step.name}: {table.num_rows} rows from {rows}"
            yield table

    def _columns(self) -> Aligned:
        columns = self._plan.columns(self._step)
        return Aligned(self._storage, {name: output_name(self._plan.writer(name), self._part) for name in columns})

    def _with_kept(self, table: pa.Table) -> pa.Table:
        """Replace the reasons of earlier steps by one column that says whether there is none."""
        if KEPT not in self._step.reads:
            return table
        kept = pa.array(np.ones(table.num_rows, dtype=bool))
        for name in self._plan.droppers(self._step):
            kept = pc.and_(kept, pc.is_null(table.column(name)))
            if name not in self._step.reads:
                table = table.drop_columns([name])
        return table.append_column(KEPT, kept)

    def _rows(self, other: str) -> pa.Table:
        producer = self._plan.step(other)
        names = [output_name(other, part, sent=True) for part in range(self._layout.num_parts(producer.per))]
        return read_rows(self._storage, names, self._part, producer.schema)

    def _receivers(self, table: pa.Table) -> tuple[npt.NDArray[np.int64], int]:
        """The receiver of each row, and how many receivers there are."""
        if self._step.gives == "to buckets":
            return buckets_of(table.column("key").to_numpy(), self._layout.num_buckets), self._layout.num_buckets
        if self._step.gives == "to shards":
            return shards_of(table.column("id").to_numpy()), len(self._layout.shards)
        return np.zeros(table.num_rows, dtype=np.int64), 1
