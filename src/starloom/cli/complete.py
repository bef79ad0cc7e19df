"""`starloom complete`: fill in at a cursor, streaming to the terminal."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from starloom.cli.cursor import Cursor, read_cursor
from starloom.core.errors import SettingsError

if TYPE_CHECKING:
    from starloom.engine import Completion, Engine, Piece


class Quant(StrEnum):
    """Kinds of weights (see `starloom.engine.layouts.Kind`)."""

    f32, bf16, q8, q4, q4m = "f32", "bf16", "q8", "q4", "q4m"


def complete(
    place: Annotated[str, typer.Argument(metavar="FILE[:LINE[:COL]]", help="Where to fill in; - for standard input.")],
    model: Annotated[Path | None, typer.Option(help="A model directory or GGUF file; the embedded model when left out.")] = None,
    max_tokens: Annotated[int, typer.Option(help="The most tokens to write.")] = 64,
    temperature: Annotated[float, typer.Option(help="0 takes the likeliest token each time.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Decides the draws above temperature 0.")] = 0,
    stop: Annotated[list[str] | None, typer.Option(help="End before this text; may be repeated.")] = None,
    quant: Annotated[Quant | None, typer.Option(help="Round the weights to this kind; as they are when left out.")] = None,
    threads: Annotated[int | None, typer.Option(help="How many compute; one for each core when left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print text, tokens (ids) and finish_reason as JSON.")] = False,
    diff: Annotated[bool, typer.Option(help="Print the change as a unified diff.")] = False,
) -> None:
    """Complete the code at a place in a file."""
    if as_json and diff:
        raise SettingsError("--json and --diff exclude each other")
    cursor = read_cursor(place)
    with _engine(model, quant, threads) as engine:
        pieces = _pieces(engine, cursor, max_tokens, temperature, seed, stop or [])
        if as_json or diff:
            completion = _finished(pieces)
            typer.echo(_json(completion) if as_json else _diff(cursor, completion.text), nl=as_json)
            return
        for piece in pieces:
            typer.echo(piece.text, nl=False)
        typer.echo()


def _engine(model: Path | None, quant: Quant | None, threads: int | None) -> Engine:
    from starloom.engine import Engine

    return Engine.open(model, quant=None if quant is None else quant.value, threads=threads)


def _pieces(
    engine: Engine, cursor: Cursor, max_tokens: int, temperature: float, seed: int, stop_texts: list[str]
) -> Iterator[Piece]:
    prompt = engine.prompt_for(cursor.prefix, cursor.suffix, max_tokens)
    return engine.stream(prompt, max_tokens=max_tokens, temperature=temperature, seed=seed, stop_texts=stop_texts)


def _finished(pieces: Iterator[Piece]) -> Completion:
    *_, last = pieces
    assert last.completion is not None
    return last.completion


def _json(completion: Completion) -> str:
    tokens = completion.ids[completion.held_tokens :]
    return json.dumps({"text": completion.text, "tokens": tokens, "finish_reason": completion.finish_reason})


def _diff(cursor: Cursor, text: str) -> str:
    before = (cursor.prefix + cursor.suffix).decode()
    after = cursor.prefix.decode() + text + cursor.suffix.decode()
    lines = difflib.unified_diff(_lines(before), _lines(after), f"a/{cursor.name}", f"b/{cursor.name}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _lines(text: str) -> list[str]:
    """Lines with their ends, split at newlines alone (`splitlines` also splits at form feeds and the like)."""
    return [line for line in re.split(r"(?<=\n)", text) if line]
