"""A run that is finished, opened for reading: its layout, report, tables and markers. Writes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import pyarrow as pa

from starloom.core.errors import FormatError, InputError
from starloom.data.pipeline.columns import Aligned
from starloom.data.pipeline.layout import Layout, read_layout
from starloom.data.pipeline.markers import MANIFEST, output_name
from starloom.data.pipeline.plan import make_plan
from starloom.data.pipeline.report import REPORT, tallies
from starloom.data.pipeline.storage import Storage, storage_at


class FinishedRun:
    """The run at `url`. Raises `InputError` when there is none or it has not come to its end."""

    def __init__(self, url: str) -> None:
        self.storage: Storage = storage_at(url)
        self.layout: Layout = read_layout(self.storage)
        self.plan = make_plan(self.layout.settings)
        data = self.storage.read(REPORT)
        if data is None:
            raise InputError(f"the run at '{url}' is not finished: the same 'starloom data run' goes on with it")
        self.report: dict[str, Any] = json.loads(data)

    @cached_property
    def tally(self) -> list[dict[str, Any]]:
        """Files and bytes by kind, language, licence, reason, magnitude and redaction."""
        rows: list[dict[str, Any]] = tallies(self.storage, self.layout).to_pylist()
        return rows

    def tables(self, *columns: str) -> Iterator[pa.Table]:
        """These columns of all shards, in pieces."""
        for shard in range(len(self.layout.shards)):
            yield from self._aligned(shard, columns).groups()

    def shard(self, shard: int, *columns: str) -> pa.Table:
        """These columns of one shard."""
        return self._aligned(shard, columns).table()

    def row(self, id_: int, *columns: str) -> dict[str, Any]:
        """These columns of one row."""
        table = self.shard(id_ >> 32, *columns)
        return {name: table.column(name)[id_ & 0xFFFFFFFF].as_py() for name in columns}

    def stages(self) -> list[dict[str, Any]]:
        """The manifests of all steps, in order."""
        names = (self.plan.ingest.name, *(step.name for step in self.plan.steps))
        return [self._manifest(name) for name in names]

    def _manifest(self, step: str) -> dict[str, Any]:
        data = self.storage.read(f"{step}/{MANIFEST}")
        if data is None:
            raise FormatError(f"'{self.storage.place(f'{step}/{MANIFEST}')}' is missing: run again")
        values: dict[str, Any] = json.loads(data)
        return values

    def _aligned(self, shard: int, columns: Sequence[str]) -> Aligned:
        return Aligned(self.storage, {name: output_name(self.plan.writer(name), shard) for name in columns})
