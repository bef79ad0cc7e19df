"""`starloom data purge`: parse, call the entry point, say what went."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from starloom.core.errors import require
from starloom.core.files import write_text


def purge(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Documents; every Parquet file below is looked at.")],
    *,
    lists: Annotated[list[Path], typer.Option("--list", help="An opt-out list; may be repeated.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write what went to this file, as JSON.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what went as one line of JSON.")] = False,
) -> None:
    """Remove opted-out repositories, owners and files from documents; all else stays as it is."""
    require("pyarrow", "data")
    from starloom.data.opt_out import OptOut
    from starloom.data.purge import purge as run

    done = run(folder, OptOut.read(lists), dry_run=dry_run)
    console = Console(stderr=as_json)
    for entry, count in sorted(done.entries.items()):
        console.print(f"{count:,} under '{entry}'", markup=False, highlight=False, soft_wrap=True)
    verb = "would go" if dry_run else "went"
    summary = f"{done.removed:,} of {done.read:,} documents {verb}, {len(done.changed)} of {done.files} files changed"
    console.print(summary, markup=False, highlight=False, soft_wrap=True)
    if done.removed and not dry_run:
        console.print("token shards made from these documents still hold them: build those again", markup=False, soft_wrap=True)
    if report is not None:
        write_text(report, done.to_json() + "\n")
    if as_json:
        print(done.to_json())
