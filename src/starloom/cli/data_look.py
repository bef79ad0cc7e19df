"""`starloom data stats`, `inspect`, `card` and `classify`: look at what a run found, or at single files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from starloom.cli.data_run import SetOption, settings_of
from starloom.core.errors import InputError, require

if TYPE_CHECKING:
    from starloom.data.pipeline.finished import FinishedRun
    from starloom.data.pipeline.report import Count

Place = Annotated[str, typer.Argument(metavar="DIR", help="Where the run lives: a folder or s3://bucket/prefix.")]


def stats(place: Place, rows: Annotated[int, typer.Option(help="Lines of each table.")] = 25) -> None:
    """Show tables of a finished run and write figures into its folder `plots`."""
    from starloom.data.pipeline.statistics import draw, statistics

    run, console = _opened(place), Console()
    found = statistics(run)
    for title, counts in found.tables().items():
        console.print(_counts(title, counts, rows))
    console.print(_groups({"exact": found.exact_groups, "near": found.near_groups}))
    console.print(_stages(run))
    for figure in draw(found, run):
        console.print(figure, markup=False, highlight=False, soft_wrap=True)


def inspect(
    place: Place,
    reason: Annotated[str | None, typer.Option(help="Only files dropped for this reason; 'kept' for the others.")] = None,
    path: Annotated[str | None, typer.Option(help="Only files whose REPOSITORY/PATH matches this pattern.")] = None,
    language: Annotated[str | None, typer.Option(help="Only files of this language.")] = None,
    count: Annotated[int, typer.Option(help="How many files.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print each file as one line of JSON.")] = False,
) -> None:
    """Show files of a finished run, what was found about each and why it was dropped."""
    from starloom.data.pipeline.inspection import Filter
    from starloom.data.pipeline.inspection import inspect as look

    run, console = _opened(place), Console()
    _check_reason(run, reason)
    for row in look(run, Filter(reason, path, language), count):
        if as_json:
            print(json.dumps(row, ensure_ascii=False))
        else:
            console.print(_file(row), soft_wrap=True)


def card(
    place: Place,
    out: Annotated[Path | None, typer.Option(help="Write to this file instead of printing.")] = None,
    plots: Annotated[bool, typer.Option(help="Show the figures that stats wrote.")] = True,
) -> None:
    """Write a data card in Markdown."""
    from starloom.core.files import write_text
    from starloom.data.pipeline.card import card as make
    from starloom.data.pipeline.statistics import statistics

    run = _opened(place)
    text = make(run, statistics(run), plots=plots)
    if out is None:
        print(text, end="")
    else:
        write_text(out, text)


def classify(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Single files.")],
    recipe: Annotated[str, typer.Option(help="The recipe whose rules are asked.")] = "permissive",
    set_: SetOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each file as one line of JSON.")] = False,
) -> None:
    """Say what a run would find about single files: language, licence, flags, findings and the verdict."""
    settings = settings_of(recipe, set_ or [])
    from starloom.data.pipeline.classification import classify as judge

    console = Console()
    for path in paths:
        found = judge(path, settings)
        if as_json:
            print(json.dumps(found, ensure_ascii=False))
        else:
            console.print(_lines(found.pop("path"), found), soft_wrap=True)


def _opened(place: str) -> FinishedRun:
    for module in ("pyarrow", "fsspec", "numpy"):
        require(module, "data")
    from starloom.data.pipeline.finished import FinishedRun

    return FinishedRun(place if "://" in place else str(Path(place).absolute()))


def _check_reason(run: FinishedRun, reason: str | None) -> None:
    known = ["kept", *run.report["dropped"]]
    if reason is not None and reason not in known:
        raise InputError(f"no file of this run was dropped as '{reason}'; there are: {', '.join(known)}")


def _counts(title: str, counts: Mapping[str, Count], rows: int) -> Table:
    table = _table(title, "", "files", "MB")
    for name, count in list(counts.items())[:rows]:
        table.add_row(Text(name or "(none)"), f"{count.files:,}", f"{count.bytes / 1e6:,.2f}")
    if len(counts) > rows:
        table.add_row(f"... {len(counts) - rows} more in report.json", "", "")
    return table


def _groups(kinds: Mapping[str, Mapping[int, int]]) -> Table:
    table = _table("Duplicates", "", "groups", "files gone", "largest group")
    for kind, groups in kinds.items():
        gone = sum((size - 1) * count for size, count in groups.items())
        table.add_row(kind, f"{sum(groups.values()):,}", f"{gone:,}", f"{max(groups, default=0):,}")
    return table


def _stages(run: FinishedRun) -> Table:
    table = _table("Steps", "", "rows", "MB written", "processor s", "files/s", "MB/s")
    read = run.report["read"]
    for stage in run.stages():
        used = max(stage["processor"], 1e-3)
        rates = (f"{read['files'] / used:,.0f}", f"{read['bytes'] / 1e6 / used:,.1f}")
        table.add_row(stage["step"], f"{stage['rows']:,}", f"{stage['bytes'] / 1e6:,.2f}", f"{stage['processor']:,.2f}", *rates)
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    return table


def _file(row: dict[str, Any]) -> Text:
    shown = {name: value for name, value in row.items() if name not in ("repository", "path", "text", "reason")}
    verdict = f"{row['reason'] or 'kept'}"
    text = _lines(f"{row['repository']}/{row['path']}: {verdict}", shown)
    if row["text"]:
        text.append("".join(f"    | {line}\n" for line in row["text"].split("\n")), style="dim")
    return text


def _lines(title: str, values: Mapping[str, Any]) -> Text:
    text = Text()
    text.append(f"{title}\n", style="bold")
    for name, value in values.items():
        if value not in (None, "", []):
            text.append(f"    {name}: {value}\n")
    return text
