"""The command line: parse, call one entry point, print. The only place that joins stages; it imports them late."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from starloom import __version__
from starloom.cli import bench, complete, data, purge, quantize, tokenize, train
from starloom.core.errors import StarloomError

app = typer.Typer(
    name="starloom",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
data.app.command("purge")(purge.purge)
app.add_typer(data.app, name="data")
app.command("bench")(bench.bench)
app.command("complete", context_settings={"ignore_unknown_options": True})(complete.complete)  # for `-:LINE`
app.command("quantize")(quantize.quantize)
app.command("tokenize")(tokenize.tokenize)
app.command("train")(train.train)


@app.callback(invoke_without_command=True)
def door(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    """Code completion that a team owns."""
    if version:
        typer.echo(f"starloom {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line. Mistakes of the user and of the machine are one line on standard error and exit code 1."""
    try:
        app()
    except StarloomError as error:
        _fail(str(error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(message: str) -> None:
    print(f"starloom: {message}", file=sys.stderr)
    sys.exit(1)
