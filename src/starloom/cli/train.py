"""`starloom train`: a recipe, a few settings, an output folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from starloom.core.errors import require


def train(
    recipe: Annotated[str, typer.Argument(help="The recipe's name; an unknown one lists them all.")],
    out: Annotated[Path, typer.Option(help="Where the run lives: checkpoints, metrics, plot, model. Run again to go on.")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Change a setting, e.g. optimizer.kind=adamw.")
    ] = None,
) -> None:
    """Train a model; a killed run goes on where it was."""
    require("torch", "train")
    from starloom.core.settings import with_overrides
    from starloom.recipes import recipe as recipe_of
    from starloom.train.run import run

    result = run(with_overrides(recipe_of(recipe), set_ or []), out)
    held_out = result.held_out
    typer.echo(f"{result.steps:,} steps, {result.tokens:,} tokens; model in {result.model}")
    typer.echo(f"held out, bits a byte: plain {held_out.plain:.3f}, middles PSM {held_out.psm:.3f}, SPM {held_out.spm:.3f}")
