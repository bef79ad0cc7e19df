"""Training speed beside the `transformers` Trainer: same model, sequence length, batch and tokens, on this CPU.

    python benchmarks/train_step.py [--rounds 3] [--out benchmarks/records/...-train-step.json]

Every variant runs in a process of its own, several rounds interleaved, so that a drifting machine meets all of them.
A variant's speed is its median step after warm-up; the record holds medians over rounds, spread and ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

SHAPE = {
    "vocab_size": 16384,
    "hidden_size": 384,
    "intermediate_size": 1536,
    "num_hidden_layers": 8,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "sliding_window": 1024,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
}
SEQUENCE, BATCH, WARM_UP, STEPS = 512, 16, 4, 10

VARIANTS: dict[str, dict[str, Any]] = {
    "trainer, defaults": {"peer": True, "bf16": False, "compile": False},
    "trainer, bf16": {"peer": True, "bf16": True, "compile": False},
    "trainer, bf16 + torch_compile": {"peer": True, "bf16": True, "compile": True},
    "starloom, fp32 eager": {"precision": "fp32", "compile": False, "kind": "adamw"},
    "starloom, bf16 eager": {"precision": "bf16", "compile": False, "kind": "adamw"},
    "starloom, bf16 + compile, unchunked loss": {
        "precision": "bf16",
        "compile": True,
        "kind": "adamw",
        "loss_chunk": SEQUENCE * BATCH,
    },
    "starloom, bf16 + compile": {"precision": "bf16", "compile": True, "kind": "adamw"},
    "starloom, bf16 + compile, Muon": {"precision": "bf16", "compile": True, "kind": "muon"},
}


def _ids() -> Any:
    import torch

    return torch.randint(
        38, SHAPE["vocab_size"], (WARM_UP + STEPS, BATCH, SEQUENCE + 1), generator=torch.Generator().manual_seed(0)
    )


def _run_trainer(bf16: bool, compile: bool) -> list[float]:
    import transformers
    from transformers import Starcoder2Config, Starcoder2ForCausalLM, Trainer, TrainerCallback, TrainingArguments

    transformers.utils.logging.set_verbosity_error()
    config = Starcoder2Config(
        **SHAPE, bos_token_id=0, eos_token_id=0, residual_dropout=0.0, embedding_dropout=0.0, attention_dropout=0.0
    )
    rows = _ids().flatten(0, 1)[:, :SEQUENCE]
    times: list[float] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
            times.append(-time.perf_counter())

        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            times[-1] += time.perf_counter()

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=BATCH,
            max_steps=WARM_UP + STEPS,
            use_cpu=True,
            bf16=bf16,
            torch_compile=compile,
            report_to=[],
            save_strategy="no",
            disable_tqdm=True,
            logging_strategy="no",
        )
        data = [{"input_ids": row, "labels": row} for row in rows]
        Trainer(Starcoder2ForCausalLM(config), arguments, train_dataset=data, callbacks=[Clock()]).train()
    return times


def _run_starloom(precision: str, compile: bool, kind: str, loss_chunk: int = 2048) -> list[float]:
    from starloom.model.starcoder2 import StarCoder2
    from starloom.train import memory
    from starloom.train.config import OptimizerConfig
    from starloom.train.optimizer import Optimizer
    from starloom.train.step import Step

    memory.keep_freed()
    model = StarCoder2.from_preset("debug", **SHAPE)
    optimizer = Optimizer(model, OptimizerConfig(kind=kind))  # type: ignore[arg-type]
    step = Step(model, precision=precision, compiled=compile, loss_chunk=loss_chunk, micro_batch=BATCH)  # type: ignore[arg-type]
    times = []
    for ids_BT in _ids():
        began = time.perf_counter()
        step(ids_BT[:, :-1].contiguous(), ids_BT[:, 1:].contiguous())
        optimizer.step(1.0)
        times.append(time.perf_counter() - began)
    return times


def measure(variant: dict[str, Any]) -> float:
    """Tokens per second of one variant: the median of the steps after warm-up."""
    peer = variant.pop("peer", False)
    run: Callable[..., list[float]] = _run_trainer if peer else _run_starloom
    return BATCH * SEQUENCE / statistics.median(run(**variant)[WARM_UP:])


def _measure_apart(name: str) -> float:
    words = [sys.executable, __file__, "--variant", name]
    done = subprocess.run(
        words, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, "TOKENIZERS_PARALLELISM": "false"}
    )
    return float(done.stdout.splitlines()[-1])


def _show(rates: dict[str, list[float]]) -> dict[str, Any]:
    medians = {name: statistics.median(values) for name, values in rates.items()}
    base = medians.get("trainer, defaults")
    best = max((medians[name] for name in medians if name.startswith("trainer")), default=None)
    table = Table("variant", "tokens/s", "lowest", "highest", "x defaults", "x best Trainer")
    for name, median in medians.items():
        values = rates[name]
        ratios = (f"{median / peer:.2f}" if peer else "not measured" for peer in (base, best))
        table.add_row(name, f"{median:,.0f}", f"{min(values):,.0f}", f"{max(values):,.0f}", *ratios)
    Console(width=120).print(table)
    return {"shape": SHAPE, "sequence": SEQUENCE, "batch": BATCH, "rates": rates, "medians": medians}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--variant", choices=VARIANTS, help="run one variant in this process and print its tokens/s")
    parser.add_argument("--only", nargs="*", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.variant:
        print(measure(dict(VARIANTS[arguments.variant])))
        return
    rates: dict[str, list[float]] = {name: [] for name in arguments.only}
    for round_ in range(arguments.rounds):
        for name in arguments.only:
            rates[name].append(_measure_apart(name))
            print(f"round {round_ + 1}: {name}: {rates[name][-1]:,.0f} tokens/s", file=sys.stderr)
    record = _show(rates)
    if arguments.out:
        arguments.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
