"""`starloom bench`: how fast the engine is on this machine, and how near to the machine's limits."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from starloom.core.errors import SettingsError

if TYPE_CHECKING:
    from rich.table import Table

    from starloom.engine.bench import Report
    from starloom.engine.layouts import Kind
    from starloom.engine.native_core import NativeCore
    from starloom.engine.packed_file import PackedModel

_ROUNDS = 5


def bench(
    model: Annotated[
        Path | None, typer.Argument(help="A model directory or GGUF file; the embedded model when left out.", show_default=False)
    ] = None,
    shape: Annotated[str | None, typer.Option(help="Random weights of a preset instead: 3b, 7b, 15b, ...")] = None,
    quant: Annotated[str | None, typer.Option(help="q4, q8, bf16, ...; as the file has it (random weights: q4).")] = None,
    threads: Annotated[int | None, typer.Option(help="All cores when left out.")] = None,
    rounds: Annotated[int, typer.Option(help="Measurements, of which medians are shown.")] = _ROUNDS,
    depth: Annotated[int, typer.Option(help="Positions before the deep decoding.")] = 2048,
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON line alone.")] = False,
) -> None:
    """Measure prompts, decoding, first token and memory beside the machine's limits; the last line is JSON."""
    if model is not None and shape is not None:
        raise SettingsError(f"name a model ('{model}') or --shape {shape}, not both")
    report = _measured(_opened(model, shape, quant), shape, threads, rounds, depth)
    if not as_json:
        from rich.console import Console

        Console().print(_table(report))
    typer.echo(json.dumps(report.as_dict()))


def _opened(model: Path | None, shape: str | None, quant: str | None) -> PackedModel:
    from starloom.contract.embedded import embedded_model
    from starloom.engine.packed import open_packed
    from starloom.engine.plan import check_quant
    from starloom.engine.random_weights import random_packed

    check_quant(quant)
    kind: Kind | None = quant  # type: ignore[assignment]  # checked
    if shape is not None:
        return random_packed(shape, kind or "q4")
    return open_packed(model or embedded_model(), kind)


def _measured(model: PackedModel, shape: str | None, threads: int | None, rounds: int, depth: int) -> Report:
    from starloom.core.progress import bar
    from starloom.engine import _native
    from starloom.engine.bench import LONG, Machine, Work, measure
    from starloom.engine.core import PAGE
    from starloom.engine.native_core import NativeCore

    positions = min(model.config.max_position_embeddings, max(LONG, depth) + 2 * PAGE)
    core = NativeCore(model, threads=threads, num_pages=-(-positions // PAGE))
    pool = _native.Threads(core.num_threads)
    machine = Machine(lambda: _native.read_bandwidth(model.data, pool), lambda: _native.int8_peak(pool))
    work = Work.of(model)
    facts: dict[str, object] = {
        "model": str(model.source) if model.source else f"random {shape}",
        "weights": model.tensors["layers.0.fc"].kind,
        "weight_bytes": model.num_bytes,
        "parameters": model.config.num_parameters,
        "threads": core.num_threads,
        "instructions": _native.current_isa(),
        "operations_per_token": work.operations,
        "bytes_per_token": work.bytes_read,
    }
    with bar("measuring", rounds + 1) as progress, _first_token(core, model) as first_token:
        return measure(
            *(core, work, machine),
            rounds=rounds,
            depth=depth,
            first_token=first_token,
            facts=facts,
            progress=progress.advance,
        )


@contextmanager
def _first_token(core: NativeCore, model: PackedModel) -> Iterator[Callable[[Sequence[int]], float] | None]:
    """Times the first token through the whole engine; random weights have no tokenizer, and are timed without."""
    from starloom.contract import Contract, Prompt
    from starloom.engine import Engine

    if model.source is None:
        yield None
        return
    with Engine(core, Contract.of(model.source)) as engine:

        def seconds(ids: Sequence[int]) -> float:
            began = time.perf_counter()
            engine.generate(Prompt([*ids]), max_tokens=1, stops=(), speculate=False)
            return time.perf_counter() - began

        yield seconds


def _table(report: Report) -> Table:
    from rich.table import Table

    facts = report.facts
    weights = f"{facts['parameters']:,} parameters in {facts['weights']}, {facts['threads']} threads, {facts['instructions']}"
    table = Table(title=f"{Path(str(facts['model'])).name}: {weights}", title_justify="left")
    for column in ("", "", "median", "least - greatest", "limit"):
        table.add_column(column, justify="right" if column else "left", no_wrap=bool(column))

    def row(name: str, unit: str, field: str, share: str | None = None, *, scale: float = 1, digits: int = 1) -> None:
        median, least, greatest = (f"{number * scale:,.{digits}f}" for number in (report.median(field), *report.spread(field)))
        table.add_row(name, unit, median, f"{least} - {greatest}", f"{100 * report.median(share):.0f} %" if share else "")

    row(f"prompt of {report.short}", "tokens/s", "prefill", "prefill_share")
    row(f"prompt of {report.long}", "tokens/s", "prefill_long", "prefill_long_share")
    row("decoding from the start", "tokens/s", "decode", "decode_share")
    row(f"decoding behind {report.depth}", "tokens/s", "decode_deep")
    row("    beside the start", "", "deep_share", digits=2)
    row(f"first token of {report.first}", "ms", "first_token", scale=1e3)
    row("limit: reading weights", "GB/s", "read_bandwidth", scale=1e-9)
    row("limit: 8-bit operations", "TOP/s", "int8_peak", scale=1e-12, digits=2)
    table.add_row("peak memory", "MB", f"{report.peak_rss_bytes / 1e6:,.0f}")
    return table
