"""What a step of the pipeline is: what it reads, what it writes, and a pure function between. A plan is steps in order.

A stage is one step: columns of a shard in, columns of the same shard out, row for row. An exchange is three or more: rows
go `to buckets` by their `key`, are reduced there, and come home `to shards` by their `id`. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import pyarrow as pa

KEPT = "kept"
"""A column that every step may read: true where no earlier step has filled its `dropped`."""

VERDICT = (pa.field("dropped", pa.string()), pa.field("detail", pa.string()))
"""The columns of a step that may reject: the reason (null: none) and more about it."""

Gives: TypeAlias = Literal["columns", "table", "to buckets", "to shards", "to run"]


@dataclass(frozen=True)
class Step:
    """One step. `function` takes the table of `reads` (when there are any), then one table for each step of `takes`.

    `per`: it runs once a shard, once a bucket, or once a run. `takes` names earlier steps that send rows here. `gives`:
    columns for the same shard; a table of any number of rows; rows with a `key` (uint64) to buckets, with an `id` (int64) to
    shards, or to the one part of a step that runs once. Unless it is `whole` or takes rows, it is called once for each row
    group of its shard. `settings` are all that its function depends on besides its inputs; `version`
    goes up whenever the same inputs give something else.
    """

    name: str
    schema: pa.Schema
    function: Callable[..., pa.Table]
    reads: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    per: Literal["shard", "bucket", "run"] = "shard"
    gives: Gives = "columns"
    settings: Mapping[str, Any] = field(default_factory=dict)
    whole: bool = False
    version: int = 1

    @property
    def may_drop(self) -> bool:
        """Whether it fills `dropped` and `detail`."""
        return "dropped" in self.schema.names

    @property
    def sends(self) -> bool:
        """Whether its rows go to parts of another step."""
        return self.gives.startswith("to ")


@dataclass(frozen=True)
class Ingest:
    """The first step: reads a shard's sources. `function` gives the tables of a shard, each of which becomes a row group."""

    schema: pa.Schema
    function: Callable[[int, tuple[str, ...]], Iterator[pa.Table]]
    settings: Mapping[str, Any]
    version: int = 1
    name: str = "ingest"
    sends: bool = False


class Plan:
    """The steps of a run in their order, and which of them writes each column."""

    def __init__(self, ingest: Ingest, steps: tuple[Step, ...]) -> None:
        self.ingest, self.steps = ingest, steps
        self._by_name = {step.name: step for step in steps}
        self._writers = dict.fromkeys(ingest.schema.names, ingest.name)
        for step in steps:
            if step.gives == "columns":
                self._add_columns(step)
        assert len(self._by_name) == len(steps), "every step has a name of its own"

    def _add_columns(self, step: Step) -> None:
        for name in step.schema.names:
            if name in ("dropped", "detail"):
                continue
            assert name not in self._writers, f"the column '{name}' is written by '{self._writers[name]}' and '{step.name}'"
            self._writers[name] = step.name

    def step(self, name: str) -> Step:
        """The step called `name`."""
        return self._by_name[name]

    def writer(self, column: str) -> str:
        """The name of the step that writes `column`; `STEP.dropped` and `STEP.detail` name theirs."""
        step, _, own = column.rpartition(".")
        return step if step else self._writers[own]

    def columns(self, step: Step) -> tuple[str, ...]:
        """All columns that a step needs, with what `kept` is made of."""
        plain = tuple(column for column in step.reads if column != KEPT)
        return plain + (self.droppers(step) if KEPT in step.reads else ())

    def droppers(self, before: Step | None = None) -> tuple[str, ...]:
        """The `dropped` columns of all steps before `before` (None: of all steps), in order."""
        names = [self.ingest.name]
        for step in self.steps:
            if before is not None and step.name == before.name:
                break
            if step.may_drop and step.gives == "columns":
                names.append(step.name)
        return tuple(f"{name}.dropped" for name in names)

    def producers(self, step: Step) -> tuple[str, ...]:
        """The steps whose columns of the same shard a step reads."""
        return tuple(sorted({self.writer(column) for column in self.columns(step)}))
