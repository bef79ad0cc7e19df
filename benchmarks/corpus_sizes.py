"""How the pipeline grows, for `corpus.py`: runs over once, twice and four times the input beside each other, into a record."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import record
from corpus_copies import SIZES
from corpus_fidelity import ALIKE, fidelity
from corpus_reads import reads
from corpus_record import MEASURED, STAGES, measured, stages

from starloom.data.pipeline.finished import FinishedRun

LEFT_OUT = ("parse=false", "redaction.secrets=false")
"""Settings without what takes half of the time and looks at one file at a time: a constant, which would hide growth."""


def write_sizes(scratch: Path, name: str | None) -> None:
    """Write the record from those runs `out-SIZE` below `scratch` that are finished."""
    places = {size: scratch / f"out-{size}" for size in SIZES}
    sizes = {size: FinishedRun(str(out.absolute())) for size, out in places.items() if (out / MEASURED).exists()}
    known = record.facts()
    known["command"] = "python benchmarks/corpus.py sizes, record-sizes"
    found = {
        "sizes": {str(size): {"stages": stages(run), "exchanges": exchanges(run)} for size, run in sizes.items()},
        "starts": {str(size): measured(places[size]) for size in sizes},
        "copies": fidelity(sizes[max(sizes)]),
        "reads": reads(),
    }
    parts = [
        record.heading("Once, twice and four times the real input", known, "", *_NOTES),
        _size_table(sizes),
        _peak_table({size: start["peak MB"] for size, start in found["starts"].items()}),
        "## How like their original the copies are\n\n" + _copy_table(found["copies"]),
        "## Exchanges\n\n" + _exchange_table(sizes),
        "## One small read\n\n" + _read_table(found["reads"]),
    ]
    record.write(name, {"facts": known, **found}, "\n\n".join(parts))


_NOTES = (
    "Packages of `benchmarks/corpus/names.txt`, recipe `permissive`, two workers; the second to fourth copy of each is other",
    f"code (`benchmarks/corpus_copies.py`). Left out by `{'`, `'.join(LEFT_OUT)}`: what looks at one file at a time. Seconds are",
    "of processor time.",
)


def exchanges(run: FinishedRun) -> dict[str, dict[str, int]]:
    """Rows and bytes that each step sends."""
    sends = {step.name for step in run.plan.steps if step.sends}
    return {line["step"]: {key: line[key] for key in ("rows", "bytes")} for line in run.stages() if line["step"] in sends}


def _size_table(sizes: Mapping[int, FinishedRun]) -> str:
    found = {size: stages(run) for size, run in sizes.items()}
    reads = {size: run.report["read"]["files"] for size, run in sizes.items()}
    rows = [["files read", *(f"{files:,}" for files in reads.values()), ""]]
    rows.append(["MB read", *(f"{run.report['read']['bytes'] / 1e6:,.0f}" for run in sizes.values()), ""])
    names = {stage: (stage,) for stage in STAGES} | {"all stages": tuple(STAGES)}
    for title, members in names.items():
        costs = [sum(found[size][name]["processor"] for name in members) / files * 1e6 for size, files in reads.items()]
        rows.append([title, *(f"{cost:,.0f}" for cost in costs), f"{costs[-1] / max(costs[0], 1e-9):.2f}"])
    heads = [f"{size}x" for size in sizes]
    return record.table(["microseconds of processor time a file read, of", *heads, f"{heads[-1]} / {heads[0]}"], rows)


def _peak_table(peaks: Mapping[str, Mapping[str, int]]) -> str:
    names = {"worker": "a worker", "run": "the run itself", "all together": "all together"}
    rows = [[title, *(f"{peak[name]:,}" for peak in peaks.values())] for name, title in names.items()]
    return record.table(["peak memory in MB of", *(f"{size}x" for size in peaks)], rows)


def _copy_table(found: Mapping[str, Any]) -> str:
    names = ["changed", "kept", *(f"same {name}" for name in ALIKE), "exact of others", "near of others"]
    rows = [
        [copy, f"{line['files']:,}", f"{line['kept bytes'] / 1e6:,.1f}", *(f"{line[name]:,}" for name in names)]
        for copy, line in found["copies"].items()
    ]
    pairs = (
        f"Verified pairs of near duplicates within copies: {found['pairs within']:,}; across copies: {found['pairs across']:,}."
    )
    return f"{record.table(['copy', 'files', 'MB kept', *names], rows)}\n\n{pairs}"


def _exchange_table(sizes: Mapping[int, FinishedRun]) -> str:
    found = {size: exchanges(run) for size, run in sizes.items()}
    steps = list(next(iter(found.values())))
    columns = [
        "step that sends",
        *(f"rows, of {size}x" for size in sizes),
        *(f"MB, of {size}x" for size in sizes),
    ]
    return record.table(columns, list(_exchange_rows(found, steps)))


def _exchange_rows(found: Mapping[int, Mapping[str, Mapping[str, int]]], steps: list[str]) -> Iterator[list[str]]:
    for step in steps:
        rows = [f"{part[step]['rows']:,}" for part in found.values()]
        yield [step, *rows, *(f"{part[step]['bytes'] / 1e6:,.2f}" for part in found.values())]


def _read_table(found: list[dict[str, Any]]) -> str:
    rows = [
        [
            f"{line['receivers']:,}",
            f"{line['bytes'] / 1e6:,.2f}",
            f"{line['write s'] * 1e3:,.0f}",
            f"{line['read s'] * 1e3:,.1f}",
        ]
        for line in found
    ]
    return record.table(["receivers of a file", "MB", "ms to write", "ms to read one receiver's rows"], rows)
