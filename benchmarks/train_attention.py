"""Attention of one layer, forward and backward: tiles fused by the compiler, beside PyTorch's own CPU kernel.

    python benchmarks/train_attention.py [--rounds 9]

Both run interleaved in one process; the table gives the median milliseconds of a forward and a backward pass.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from starloom.model.starcoder2 import attend

BATCH, HEADS, GROUPS, LENGTH, DEPTH = 16, 4, 2, 512, 64
Attention = Callable[[Tensor, Tensor, Tensor], Tensor]


def _inputs(dtype: torch.dtype) -> list[Tensor]:
    return [
        torch.randn(BATCH, LENGTH, heads, DEPTH, dtype=dtype).transpose(1, 2).requires_grad_()
        for heads in (HEADS, GROUPS, GROUPS)
    ]


def _milliseconds(attention: Attention, inputs: list[Tensor]) -> tuple[float, float]:
    began = time.perf_counter()
    out = attention(*inputs)
    middle = time.perf_counter()
    out.backward(torch.ones_like(out))
    return (middle - began) * 1e3, (time.perf_counter() - middle) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds

    def plain(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attend(q, k, v, None)

    ways: dict[str, Attention] = {"PyTorch's kernel": plain, "compiled tiles": torch.compile(plain)}
    table = Table("way", "type", "forward ms", "backward ms", title=f"{torch.get_num_threads()} threads")
    for dtype in (torch.bfloat16, torch.float32):
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for round_ in range(rounds + 2):
            for name, attention in ways.items():
                measured = _milliseconds(attention, _inputs(dtype))
                if round_ >= 2:
                    times[name].append(measured)
        for name, values in times.items():
            forward, backward = (statistics.median(part) for part in zip(*values, strict=True))
            table.add_row(name, str(dtype).removeprefix("torch."), f"{forward:.0f}", f"{backward:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
