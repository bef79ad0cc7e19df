"""`starloom data build` and `starloom data fetch`: parse, call the entry point, show what became of every file."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from starloom.cli import data_look, data_run
from starloom.cli.list_files import lines_of
from starloom.core.errors import SettingsError, require

if TYPE_CHECKING:
    from starloom.data.report import Report

_FETCH_LINES = (
    "Packages, one a line: name or name==version for a wheel of PyPI, with pypi-source:, npm:, debian: or debian-binary: in "
    "front for others, such as npm:three or debian:hello."
)

app = typer.Typer(help="Build data sets: documents with their licences, and token shards.", no_args_is_help=True)
app.command("run")(data_run.run)
app.command("stats")(data_look.stats)
app.command("inspect")(data_look.inspect)
app.command("card")(data_look.card)
app.command("classify")(data_look.classify)


@app.command()
def build(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(metavar="SOURCE...", help="Folders, archives, git repositories; each is one repository."),
    ] = None,
    *,
    out: Annotated[Path, typer.Option(help="The new folder to write.")],
    list_file: Annotated[Path | None, typer.Option("--list", help="A file that names more sources, one a line.")] = None,
    languages: Annotated[str | None, typer.Option(help="Names with commas between, such as Python,C; all when left out.")] = None,
    licences: Annotated[str, typer.Option(help="permissive or any.")] = "permissive",
    tokenizer: Annotated[Path | None, typer.Option(help="A tokenizer.json, model directory or GGUF file to encode with.")] = None,
    vocab_size: Annotated[int | None, typer.Option(help="Train a tokenizer with this many tokens.")] = None,
    validation: Annotated[list[str] | None, typer.Option(help="The name of a repository to hold out; may be repeated.")] = None,
    validation_list: Annotated[Path | None, typer.Option(help="A file that names repositories to hold out, one a line.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Drop paths that match this pattern; may be repeated.")] = None,
    seed: Annotated[int, typer.Option(help="Decides all that is random.")] = 0,
    max_file_bytes: Annotated[int, typer.Option(help="Drop larger files unread.")] = 1_000_000,
    metadata_probability: Annotated[float, typer.Option(help="How often a repository shows its name and paths.")] = 0.5,
    near_duplicates: Annotated[bool, typer.Option(help="Drop files that nearly repeat another.")] = True,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Report sources that cannot be read, and go on.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one line of JSON.")] = False,
) -> None:
    """Read sources into documents, drop what must not be trained on, write Parquet files and token shards."""
    for module in ("pyarrow", "numpy"):
        require(module, "data")
    from starloom.data.build import BuildConfig
    from starloom.data.build import build as run

    if licences not in ("permissive", "any"):
        raise SettingsError(f"--licences is '{licences}'; it must be permissive or any")
    config = BuildConfig(
        sources=(*(sources or ()), *(Path(line) for line in lines_of(list_file))),
        out=out,
        languages=None if languages is None else tuple(name for name in languages.split(",") if name.strip()),
        licences="any" if licences == "any" else "permissive",
        tokenizer=tokenizer,
        vocab_size=vocab_size,
        validation=(*(validation or ()), *lines_of(validation_list)),
        exclude=tuple(exclude or ()),
        seed=seed,
        max_file_bytes=max_file_bytes,
        metadata_probability=metadata_probability,
        near_duplicates=near_duplicates,
        keep_going=keep_going,
    )
    report = run(config)
    _show(report, Console(stderr=as_json))
    if as_json:
        print(report.to_json())


@app.command()
def fetch(
    names: Annotated[Path, typer.Argument(metavar="NAMES_FILE", help=_FETCH_LINES)],
    out: Annotated[Path, typer.Option(help="The folder for the packages and fetch.lock.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print what was fetched as one line of JSON.")] = False,
) -> None:
    """Download packages from PyPI, npm and Debian, one by one; what fails is listed at the end and the exit code is 1."""
    from starloom.data.fetch import fetch as run

    fetched = run(names, out)
    console = Console(stderr=True)
    for message in fetched.failed.values():
        console.print(f"starloom: {message}", markup=False, highlight=False, soft_wrap=True)
    console.print(
        f"{len(fetched.packages)} packages in {out}, {len(fetched.failed)} failed", markup=False, highlight=False, soft_wrap=True
    )
    if as_json:
        print(json.dumps(asdict(fetched)))
    if fetched.failed:
        raise typer.Exit(1)


def _show(report: Report, console: Console) -> None:
    values = json.loads(report.to_json())
    kept = {f"kept for {split}": count for split, count in values["kept"].items() if count["files"]}
    console.print(_table("Files", {"read": values["read"], **kept, **values["dropped"]}))
    console.print(_table("Languages", values["languages"]))
    console.print(_table("Licences of kept files", values["licences"]))
    for failure in values["failed"]:
        console.print(f"not read: {failure['error']}", markup=False, highlight=False, soft_wrap=True)
    for split, count in values["tokens"].items():
        console.print(f"{split}: {count['tokens']:,} tokens in {count['sequences']:,} sequences", highlight=False)


def _table(title: str, counts: dict[str, dict[str, int]], rows: int = 20) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column()
    table.add_column("files", justify="right")
    table.add_column("MB", justify="right")
    for name, count in list(counts.items())[:rows]:
        table.add_row(name, f"{count['files']:,}", f"{count['bytes'] / 1e6:,.1f}")
    if len(counts) > rows:
        table.add_row(f"... {len(counts) - rows} more in report.json", "", "")
    return table
