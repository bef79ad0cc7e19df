"""What a run found, as tables of files and bytes and as figures, for people to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

import pyarrow.compute as pc

from starloom.core.errors import require
from starloom.data.pipeline.finished import FinishedRun
from starloom.data.pipeline.report import Count, count_by

FOLDER = "plots"
_BARS, _LABEL = 25, 60  # at most so many bars, with so many letters before them


@dataclass(frozen=True)
class Statistics:
    """Files and bytes of a run by several things. `sources` are what was read and what was kept of each, `sizes` by the power of
    two below; groups of duplicates are by their size: how many groups there are."""

    read: Count
    kept: Count
    redacted: Count
    sources: dict[str, tuple[Count, Count]]
    held_out: Count
    reasons: dict[str, Count]
    kinds: dict[str, Count]
    languages: dict[str, Count]
    licences: dict[str, Count]
    sizes: dict[str, Count]
    exact_groups: dict[int, int]
    near_groups: dict[int, int]

    def tables(self) -> dict[str, dict[str, Count]]:
        """The tables by their titles, in the order in which they are shown."""
        return {
            "Files": {
                "read": self.read,
                "kept": self.kept,
                "of these redacted": self.redacted,
                "of these held out": self.held_out,
            },
            "Dropped, by the first reason": self.reasons,
            "Kinds of kept records": self.kinds,
            "Languages of kept files": self.languages,
            "Licences of kept files": self.licences,
            "Sizes of kept files, bytes": self.sizes,
        }


def statistics(run: FinishedRun) -> Statistics:
    """Count a finished run."""
    rows = run.tally
    kept = [row for row in rows if row["reason"] is None]
    sized = [{**row, "size": f"{1 << max(row['magnitude'] - 1, 0):,}"} for row in sorted(kept, key=lambda row: row["magnitude"])]
    report = {name: Count(**run.report[name]) for name in ("read", "kept", "redacted", "held_out")}
    return Statistics(
        **report,
        sources=_by_source(run),
        reasons=count_by([row for row in rows if row["reason"] is not None], "reason"),
        kinds=count_by(kept, "kind"),
        languages=count_by(kept, "language"),
        licences=count_by(kept, "licence"),
        sizes=_in_order(count_by(sized, "size"), [row["size"] for row in sized]),
        exact_groups=_groups(run, "exact_survivor"),
        near_groups=_groups(run, "near_survivor"),
    )


def _by_source(run: FinishedRun) -> dict[str, tuple[Count, Count]]:
    """What was read and what was kept of each source, the one with the most kept bytes first."""
    sums: dict[str, list[int]] = {}
    for table in run.tables("source", "reason", "size"):
        table = table.append_column("kept", pc.is_null(table.column("reason")))
        groups = table.group_by(["source", "kept"], use_threads=False).aggregate([("size", "count"), ("size", "sum")])
        for row in groups.to_pylist():
            counts = sums.setdefault(row["source"], [0, 0, 0, 0])
            for place in (0, 2) if row["kept"] else (0,):
                counts[place] += row["size_count"]
                counts[place + 1] += row["size_sum"]
    order = sorted(sums, key=lambda source: (-sums[source][3], source))
    return {source: (Count(*sums[source][:2]), Count(*sums[source][2:])) for source in order}


def _in_order(counts: dict[str, Count], names: list[str]) -> dict[str, Count]:
    return {name: counts[name] for name in dict.fromkeys(names)}


def _groups(run: FinishedRun, column: str) -> dict[int, int]:
    """How many groups of duplicates there are of each size, the survivor counted."""
    members: Counter[int] = Counter()
    for table in run.tables(column):
        members.update(table.column(column).drop_null().to_pylist())
    return dict(sorted(Counter(count + 1 for count in members.values()).items()))


def draw(found: Statistics, run: FinishedRun) -> list[str]:
    """Write the figures below the run's folder and return their places. Raises `MissingExtraError`."""
    figures = {
        "languages": ("Kept, by language", _megabytes(found.languages), "MB"),
        "licences": ("Kept, by licence", _megabytes(found.licences), "MB"),
        "sizes": ("Kept, by size in bytes (from)", _files(found.sizes), "files"),
        "reasons": ("Dropped, by the first reason", _files(found.reasons), "files"),
        "duplicates": ("Groups of duplicates, by size", _group_bars(found), "groups"),
    }
    return [_bars(run, name, *figure) for name, figure in figures.items()]


def _megabytes(counts: Mapping[str, Count]) -> dict[str, float]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1].bytes, item[0]))
    return {name or "(none)": count.bytes / 1e6 for name, count in ordered}


def _files(counts: Mapping[str, Count]) -> dict[str, float]:
    return {name or "(none)": count.files for name, count in counts.items()}


def _group_bars(found: Statistics) -> dict[str, float]:
    bars: dict[str, float] = {}
    for kind, groups in (("exact", found.exact_groups), ("near", found.near_groups)):
        for size, count in groups.items():
            label = f"{kind}, {size if size < 5 else '5 to 9' if size < 10 else '10 to 99' if size < 100 else '100 and more'}"
            bars[label] = bars.get(label, 0) + count
    return bars


def _bars(run: FinishedRun, name: str, title: str, values: Mapping[str, float], unit: str) -> str:
    require("matplotlib", "train")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = dict(list(values.items())[:_BARS])
    figure = Figure(figsize=(8, 1 + 0.26 * max(len(shown), 1)), layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots()
    axes.barh(range(len(shown)), list(shown.values()), color="#4878a8")
    axes.set_yticks(range(len(shown)), labels=[shorten(name, _LABEL, placeholder=" ...") for name in shown])
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    more = len(values) - len(shown)
    axes.set_title(f"{title} ({more} more not shown)" if more else title)
    place = f"{FOLDER}/{name}.png"
    with run.storage.new(place) as partial:
        figure.savefig(partial, format="png", dpi=110, metadata={"Software": None})
    return run.storage.place(place)
