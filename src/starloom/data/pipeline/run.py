"""A run: its layout, then step after step on an engine, then what was found. Killed at any moment, it goes on where it was.

Nothing is computed whose marker says that it is done with the same settings and inputs.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import pyarrow as pa

from starloom.core.errors import InputError, PipelineError
from starloom.core.progress import bar
from starloom.data.pipeline.addresses import absolute, pieces, source_lines
from starloom.data.pipeline.engines.engine import Engine, EngineName, make_engine
from starloom.data.pipeline.layout import make_layout, write_layout
from starloom.data.pipeline.markers import MANIFEST, Fingerprints, marker_name, output_name, read_markers, unfinished
from starloom.data.pipeline.plan import make_plan
from starloom.data.pipeline.report import REPORT, Report, make_report
from starloom.data.pipeline.settings import DataSettings
from starloom.data.pipeline.step import Ingest, Step
from starloom.data.pipeline.storage import Storage, storage_at
from starloom.data.pipeline.task import Outcome, Task, named
from starloom.data.pipeline.token_shards import TokenCount, write_tokens


@dataclass(frozen=True, slots=True)
class Finished:
    """What a run ends with: the counts, the seconds that it took this time, and what the token shards of each split hold."""

    report: Report
    seconds: float
    tokens: dict[str, TokenCount] = field(default_factory=dict)

    def to_json(self) -> str:
        """One line: `read`, `kept`, `dropped` by reason, `redacted`, `bytes` of kept files, `languages`, `seconds`."""
        names = {"train": "tokens", "validation": "validation_tokens"}
        tokens = {names[split]: count.tokens for split, count in self.tokens.items()}
        return json.dumps({**self.report.line(), **tokens, "seconds": round(self.seconds, 1)}, ensure_ascii=False)


def run(settings: DataSettings, out: str, *, engine: EngineName = "local", workers: int | None = None) -> Finished:
    """Run all steps over `settings.sources` into `out`, a folder or an address that fsspec knows.

    `workers` None is one for each processor; 0 (with `local`) works in this process. Raises `StarloomError`: everything that
    was finished before is kept, and the same call goes on from there.
    """
    begun = time.perf_counter()
    if not settings.sources:
        raise InputError("no sources: name at least one folder, archive, package or git repository")
    storage = storage_at(_absolute(out))
    settings = replace(settings, sources=tuple(map(absolute, settings.sources)))
    layout = make_layout(settings, pieces(source_lines(settings.sources), settings.shard_bytes))
    plan = make_plan(settings)
    if storage.size(REPORT) is not None:
        storage.remove(REPORT)  # of what this run may change: until its end there is no finished run here
    write_layout(storage, layout)
    fingerprints = Fingerprints(plan, layout.identities(), layout.num_buckets)
    count = (os.cpu_count() or 1) if workers is None else workers
    with make_engine(engine, count) as running:
        steps: tuple[Ingest | Step, ...] = (plan.ingest, *plan.steps)
        for step in steps:
            _run_step(storage, named(layout, plan), fingerprints, step, running)
    report = make_report(storage, layout)
    storage.write(REPORT, (report.to_json() + "\n").encode())
    tokens = write_tokens(storage, layout, fingerprints.of_all("sequences")) if settings.tokens.tokenizer else {}
    return Finished(report, time.perf_counter() - begun, tokens)


def _absolute(place: str) -> str:
    return place if "://" in place else str(Path(place).absolute())


def _run_step(storage: Storage, digest: str, fingerprints: Fingerprints, step: Ingest | Step, engine: Engine) -> None:
    name, parts = step.name, range(fingerprints.num_parts(step.name))
    _remove_strangers(storage, step, len(parts))
    pending = unfinished(storage, name, [fingerprints.of(name, part) for part in parts], sent=step.sends)
    tasks = [Task(storage.url, digest, name, part, fingerprints.of(name, part)) for part in pending]
    with bar(name, len(parts), done=len(parts) - len(pending)) as progress:
        for outcome in engine.run(tasks) if tasks else ():
            _check(outcome)
            progress.advance()
    _write_manifest(storage, name, len(parts), fingerprints.of_all(name))


def _check(outcome: Outcome) -> None:
    """Raise `PipelineError` for a task that failed, with the step and the part."""
    if outcome.error is not None:
        hint = f"\n{outcome.trace}" if outcome.trace else ""
        raise PipelineError(f"step '{outcome.step}', part {outcome.part}: {outcome.error}{hint}")


def _remove_strangers(storage: Storage, step: Ingest | Step, num_parts: int) -> None:
    """Remove what a killed run left half-written, and parts of a run that had more of them."""
    expected = {MANIFEST}
    for part in range(num_parts):
        names = (output_name(step.name, part, sent=step.sends), marker_name(step.name, part))
        expected |= {name.rpartition("/")[2] for name in names}
    for name in storage.names(step.name):
        if name not in expected:
            storage.remove(f"{step.name}/{name}")


def _write_manifest(storage: Storage, step: str, num_parts: int, fingerprint: str) -> None:
    """`STEP/manifest.json`: all parts of the step with their markers."""
    known: Sequence[dict[str, object]] = [asdict(marker) for marker in read_markers(storage, step, num_parts)]
    totals = {name: sum(line[name] for line in known) for name in ("rows", "bytes")}  # type: ignore[misc]
    seconds = {name: round(sum(line[name] for line in known), 3) for name in ("seconds", "processor")}  # type: ignore[misc]
    values = {"step": step, "fingerprint": fingerprint, "pyarrow": pa.__version__, **totals, **seconds, "parts": known}
    storage.write(f"{step}/{MANIFEST}", (json.dumps(values, indent=1) + "\n").encode())
