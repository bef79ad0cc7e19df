"""What a real run found and took, for `corpus.py`: statistics, card and figures into a folder of docs, times into a record."""

import json
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from textwrap import shorten
from typing import Any

import record

from starloom.core.files import sha256_of, write_text
from starloom.data.pipeline.card import card
from starloom.data.pipeline.finished import FinishedRun
from starloom.data.pipeline.statistics import draw, statistics
from starloom.data.pipeline.step import KEPT, Ingest, Step

MEASURED = "measured.json"
STAGES = {
    "ingest": ("ingest",),
    "text": ("text",),
    "languages": ("languages",),
    "licences": ("licence_evidence", "licences"),
    "quality": ("quality",),
    "parse": ("parse",),
    "opt-out, split": ("opt_out", "split"),
    "exact duplicates": ("exact",),
    "near duplicates": ("near",),
    "decontamination": ("decontamination",),
    "malware": ("malware",),
    "redaction": ("redaction",),
    "verdicts, documents": ("verdict", "documents", "statistics"),
}
"""Stages of people by the steps that make them; `exact` and `near` also name the steps of their exchanges."""


def write_record(out: Path, unbroken: Path, docs: Path, name: str | None) -> None:
    """Write `docs` from the run at `out`; the record also from one that was not killed."""
    run, whole = (FinishedRun(str(place.absolute())) for place in (out, unbroken))
    sources = by_source(run)
    _write_docs(run, sources, docs)
    known = record.facts()
    known["command"] = "python benchmarks/corpus.py run, record"
    starts = json.loads((out / MEASURED).read_text())
    found = {
        "starts": starts,
        "stages": stages(whole),
        "languages read": len(languages_read(run)),
        "unbroken": _compared(out, unbroken),
    }
    parts = [
        record.heading("A real run", known, "", *_NOTES),
        _starts(starts),
        _UNBROKEN.format(**found["unbroken"]),
        "## Stages (of the run that was not killed)\n\n" + _stage_table(whole),
    ]
    record.write(name, {"facts": known, **found}, "\n\n".join(parts))


_NOTES = (
    "Packages of `benchmarks/corpus/names.txt`, recipe `permissive`, two workers; what was found: `docs/corpus`. Seconds are of",
    "processor time (children included) unless called wall clock: other work shared the cores.",
)


_UNBROKEN = (
    "A run that was not killed: {unequal} of {tables} tables (and the report) differ. It took {seconds:,.0f} s of wall clock and "
    "{processor:,.0f} s of processor time on two cores."
)


def _compared(out: Path, unbroken: Path) -> dict[str, Any]:
    """The tables of a run beside those of another with the same sources and settings."""
    hashes = [{str(place.relative_to(run)): sha256_of(place) for place in _tables(run)} for run in (out, unbroken)]
    names = hashes[0].keys() | hashes[1].keys()
    unequal = sum(hashes[0].get(name) != hashes[1].get(name) for name in names)
    start = measured(unbroken)
    used = sum(line["processor"] for line in FinishedRun(str(unbroken.absolute())).stages())
    return {"tables": len(names), "unequal": unequal, "seconds": start["seconds"], "processor": used, "peak MB": start["peak MB"]}


def measured(run: Path) -> dict[str, Any]:
    start: dict[str, Any] = json.loads((run / MEASURED).read_text())[-1]
    return start


def _tables(run: Path) -> list[Path]:
    return [*run.glob("*/*.parquet"), *run.glob("*/*.rows"), run / "report.json"]


def by_source(run: FinishedRun) -> dict[str, dict[str, Any]]:
    """Files and bytes, read and kept, and the reasons of the others, by source."""
    found: dict[str, dict[str, Any]] = {}
    for table in run.tables("source", "size", "reason", "licence"):
        for source, size, reason, licence in zip(*(column.to_pylist() for column in table.columns), strict=True):
            line = found.setdefault(source, {"read": [0, 0], "kept": [0, 0], "dropped": Counter(), "licences": Counter()})
            line["dropped" if reason else "licences"][reason or licence] += 1
            for count in (line["read"], *([] if reason else [line["kept"]])):
                count[0], count[1] = count[0] + 1, count[1] + size
    return dict(sorted(found.items()))


def languages_read(run: FinishedRun) -> dict[str, int]:
    """Files of each language, whatever became of them."""
    files: Counter[str] = Counter()
    for row in run.tally:
        if row["language"]:
            files[row["language"]] += row["files"]
    return dict(files.most_common())


def _write_docs(run: FinishedRun, sources: Mapping[str, Any], docs: Path) -> None:
    found = statistics(run)
    read = languages_read(run)
    (docs / "plots").mkdir(parents=True, exist_ok=True)
    for place in draw(found, run):
        shutil.copy(place, docs / "plots")
    write_text(docs / "card.md", card(run, found, plots=True))
    values = asdict(found) | {"languages read": read, "sources": sources}
    write_text(docs / "statistics.json", json.dumps(values, indent=1, ensure_ascii=False) + "\n")
    rows = [_source_row(name, line) for name, line in sources.items()]
    columns = ["source", "files read", "MB read", "files kept", "MB kept", "most files are", "most others are"]
    kept = {name: count.files for name, count in found.languages.items()}
    languages = [[name, f"{files:,}", f"{kept.get(name, 0):,}"] for name, files in sorted(read.items())]
    at_least = ", ".join(f"{sum(n >= least for n in read.values())} with {least} files or more" for least in (3, 10, 100))
    parts = [
        "# What became of every source and language",
        record.table(columns, rows),
        f"Languages read: {len(read)}; {at_least}. Kept: {sum(bool(name) for name in kept)}.",
        record.table(["language", "files read", "files kept"], languages),
    ]
    write_text(docs / "statistics.md", "\n\n".join(parts) + "\n")


def _source_row(name: str, line: Mapping[str, Any]) -> list[str]:
    counts = [
        f"{value:,}" if number == 0 else f"{value / 1e6:,.2f}"
        for key in ("read", "kept")
        for number, value in enumerate(line[key])
    ]
    most = [
        ", ".join(f"{shorten(what, 60, placeholder=' ...')} ({files:,})" for what, files in line[key].most_common(2))
        for key in ("licences", "dropped")
    ]
    return [name, *counts, *most]


def looked_at(run: FinishedRun) -> dict[str, tuple[int, int]]:
    """Files and bytes that each step looks at: those without a reason so far, or all, by what it reads."""
    gone: dict[str, list[int]] = {}
    total = [0, 0]
    for table in run.tables("reason_step", "size"):
        for step, size in zip(*(column.to_pylist() for column in table.columns), strict=True):
            for count in (total, gone.setdefault(step, [0, 0])):
                count[0], count[1] = count[0] + 1, count[1] + size
    left, found = total.copy(), {run.plan.ingest.name: (total[0], total[1])}
    steps: tuple[Ingest | Step, ...] = (run.plan.ingest, *run.plan.steps)
    for step in steps:
        if step.name != run.plan.ingest.name:
            found[step.name] = (left[0], left[1]) if KEPT in getattr(step, "reads", ()) else (total[0], total[1])
        for number, lost in enumerate(gone.get(step.name, (0, 0))):
            left[number] -= lost
    return found


def stages(run: FinishedRun) -> dict[str, dict[str, float]]:
    """What each stage of `STAGES` looked at, took and wrote."""
    looked = looked_at(run)
    found: dict[str, dict[str, float]] = {}
    for stage, names in STAGES.items():
        lines = [line for line in run.stages() if any(_of(line["step"], name) for name in names)]
        files, size = looked[lines[0]["step"]]
        took = {key: sum(line[key] for line in lines) for key in ("processor", "seconds", "bytes")}
        found[stage] = {"files": files, "bytes read": size, **took}
    return found


def _of(step: str, name: str) -> bool:
    return step == name or (name in ("exact", "near") and step.startswith(f"{name}_"))


def _starts(starts: list[dict[str, Any]]) -> str:
    rows = [
        [
            "from the beginning" if number == 0 else "after kill -9",
            "end" if start["killed"] is None else f"`{start['killed']}`",
            f"{start['seconds']:,.0f}",
            f"{start['done']:,}",
            *(f"{start['peak MB'].get(name, 0):,}" for name in ("worker", "parse_worker", "run", "all together")),
        ]
        for number, start in enumerate(starts)
    ]
    columns = ["started", "until", "wall s", "parts done then", "worker, peak MB", "parser", "the run itself", "all together"]
    said = json.dumps(starts[-1]["said"], ensure_ascii=False)
    return f"{record.table(columns, rows)}\n\nThe last line of the last start: `{said}`"


def _stage_table(run: FinishedRun) -> str:
    rows = []
    for stage, line in stages(run).items():
        used = max(line["processor"], 1e-3)
        rates = (f"{line['files'] / used:,.0f}", f"{line['bytes read'] / 1e6 / used:,.1f}")
        rows.append(
            [
                stage,
                f"{line['files']:,}",
                f"{line['bytes read'] / 1e6:,.0f}",
                f"{used:,.1f}",
                *rates,
                f"{line['bytes'] / 1e6:,.1f}",
            ]
        )
    return record.table(["stage", "files it looks at", "MB", "processor s", "files/s a core", "MB/s a core", "MB written"], rows)
