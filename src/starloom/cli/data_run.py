"""`starloom data run`: a recipe, sources, a few settings, an output place; ends with one line of JSON."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from starloom.cli.list_files import lines_of
from starloom.core.errors import require

if TYPE_CHECKING:
    from starloom.data.pipeline.settings import DataSettings

SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Change a setting, e.g. near.threshold=0.8.")
]


def run(
    recipe: Annotated[str, typer.Argument(help="The recipe's name; an unknown one lists them all.")],
    sources: Annotated[
        list[str] | None,
        typer.Argument(metavar="SOURCE...", help="Folders, archives, packages, git repositories, or JSON for other kinds."),
    ] = None,
    *,
    out: Annotated[str, typer.Option(help="Where the run lives: a folder or s3://bucket/prefix. Run again to go on.")],
    list_file: Annotated[Path | None, typer.Option("--list", help="A file that names more sources, one a line.")] = None,
    set_: SetOption = None,
    engine: Annotated[str, typer.Option(help="local, daft or ray.")] = "local",
    workers: Annotated[int | None, typer.Option(help="Tasks at a time; one a processor when left out.")] = None,
) -> None:
    """Run the data pipeline; a killed run goes on where it was."""
    from starloom.data.pipeline.run import run as run_pipeline

    settings = settings_of(recipe, set_ or [])
    settings = replace(settings, sources=(*settings.sources, *(sources or ()), *lines_of(list_file)))
    finished = run_pipeline(settings, out, engine=cast(Literal["local", "daft", "ray"], engine), workers=workers)
    print(finished.to_json())


def settings_of(recipe: str, changes: list[str]) -> DataSettings:
    """The settings of a recipe with changes. Raises `SettingsError`, `MissingExtraError`."""
    for module in ("pyarrow", "fsspec", "numpy"):
        require(module, "data")
    from starloom.core.settings import with_overrides
    from starloom.recipes.data import recipe as recipe_of

    return with_overrides(recipe_of(recipe), changes)
