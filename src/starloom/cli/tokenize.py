"""`starloom tokenize`: the ids of files, to look at what a model sees."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from starloom.core.errors import InputError, SettingsError

if TYPE_CHECKING:
    from starloom.contract import Tokenizer

LIMIT = 8 * 2**20
"""Bytes of one input; a text of this size already takes more than a gigabyte of memory to tokenise whole."""


def tokenize(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Files to read; - is standard input.")],
    model: Annotated[Path | None, typer.Option(help="A model directory or GGUF file. Default: the embedded model.")] = None,
    vocab: Annotated[Path | None, typer.Option(help="A GGUF file or tokenizer.json that holds only a vocabulary.")] = None,
    special: Annotated[bool, typer.Option("--special", help="Read the texts of special tokens as special tokens.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Put U+FFFD for bytes that the vocabulary lacks.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array a line.")] = False,
) -> None:
    """Print the ids of each FILE (at most 8 MiB, read as bytes), one line a file.

    Bytes that are not UTF-8 are tokens of their own. Bytes that the vocabulary lacks are an error that names the first.
    """
    tokenizer = _open(model, vocab)
    encode = tokenizer.encode_with_special if special else tokenizer.encode
    for file in files:
        try:
            ids = encode(_read(file), unknown="replace" if replace else "error")
        except InputError as error:
            raise InputError(f"{file}: {error}") from None
        print(json.dumps(ids) if as_json else " ".join(map(str, ids)))


def _open(model: Path | None, vocab: Path | None) -> Tokenizer:
    from starloom.contract.embedded import embedded_model
    from starloom.contract.tokenizer import Tokenizer

    if model is not None and vocab is not None:
        raise SettingsError("--model and --vocab both name a vocabulary: give one of them")
    return Tokenizer.open(model or vocab or embedded_model())


def _read(file: str) -> bytes:
    if file == "-":
        return _within_limit(sys.stdin.buffer.read(LIMIT + 1))
    path = Path(file)
    if path.is_dir():
        raise InputError("this is a directory: name a file")
    if not path.exists():
        raise InputError("there is no such file")
    with path.open("rb") as stream:
        return _within_limit(stream.read(LIMIT + 1))


def _within_limit(data: bytes) -> bytes:
    if len(data) > LIMIT:
        raise InputError(f"this has more than {LIMIT:,} bytes, the most that is tokenised at once: split it")
    return data
