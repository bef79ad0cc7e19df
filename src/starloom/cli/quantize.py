"""`starloom quantize`: a model in fewer bits, as GGUF."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def quantize(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model directory or GGUF file.")],
    out: Annotated[Path, typer.Option(metavar="FILE.gguf", help="The file to write.")],
    to: Annotated[str, typer.Option(help="q4, q4_1, q8, bf16, f16 or f32: the bits of the layers' matrices.")] = "q4",
    calibrate: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Text files such as the model will see; 4 bits lose less with them.")
    ] = None,
    calibration_tokens: Annotated[int, typer.Option(help="How many tokens of them to read.")] = 16_384,
) -> None:
    """Write MODEL as a GGUF file with fewer bits a weight, which llama.cpp opens too.

    With 4 bits, embedding and head have 8. Calibration runs the model over the texts once and rounds each weight with an eye on
    what it will be multiplied with; without it, all inputs count alike.
    """
    from starloom.contract import Contract
    from starloom.core.errors import SettingsError
    from starloom.engine.calibration_texts import calibration_texts
    from starloom.engine.quantize import quantize as write

    if calibration_tokens < 1:
        raise SettingsError(f"--calibration-tokens is {calibration_tokens}; it must be at least 1")
    texts = calibration_texts(calibrate, Contract.of(model), num_tokens=calibration_tokens) if calibrate else []
    write(model, out, to, texts)
    typer.echo(f"{out}: {out.stat().st_size:,} bytes")
