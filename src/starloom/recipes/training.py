"""Training runs by name. `data` is a folder that `starloom data build` made; set another with `--set data=FOLDER`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from starloom.core.errors import SettingsError
from starloom.train.config import FillInConfig, OptimizerConfig, ScheduleConfig, TrainConfig


def debug() -> TrainConfig:
    """Every part of a run in seconds on two cores: a model of two layers, a few steps, no compilation."""
    return TrainConfig(
        data=Path("data"),
        preset="debug",
        steps=20,
        sequence=64,
        batch=4,
        micro_batch=2,
        precision="fp32",
        compile=False,
        loss_chunk=64,
        schedule=ScheduleConfig(warmup_steps=2),
        log_every=1,
        evaluate_every=10,
        evaluate_windows=4,
        checkpoint_every=5,
    )


def embedded() -> TrainConfig:
    """The model inside the package; every choice is settled in `benchmarks/records` (ablations)."""
    return TrainConfig(
        data=Path("data"),
        preset="5m",
        model={"max_position_embeddings": 1024, "sliding_window": 1024},
        steps=10_000,
        sequence=512,
        batch=16,
        micro_batch=16,
        loss_chunk=1024,
        fill_in=FillInConfig(
            repository_rate=1.0,
            file_rate=0.9,
            spm_share=0.5,
            cuts={"characters": 0.1, "line_end": 0.45, "line": 0.2, "lines": 0.15, "span": 0.1},
            shortest_piece=24,
        ),
        optimizer=OptimizerConfig(kind="muon"),
        schedule=ScheduleConfig(kind="wsd", warmup_steps=50, decay_share=0.3),
        evaluate_windows=128,
    )


def embedded_decay() -> TrainConfig:
    """The end of the embedded model's training: longer windows, the rate falling to zero. Give `start=CHECKPOINT`."""
    return replace(
        embedded(),
        seed=1,
        sequence=1024,
        batch=8,
        micro_batch=8,
        schedule=ScheduleConfig(kind="wsd", warmup_steps=0, decay_share=1.0),
    )


RECIPES: dict[str, Callable[[], TrainConfig]] = {"debug": debug, "embedded": embedded, "embedded-decay": embedded_decay}


def recipe(name: str) -> TrainConfig:
    """The configuration of the recipe called `name`. Raises `SettingsError`."""
    if name not in RECIPES:
        raise SettingsError(f"there is no recipe '{name}'; known are {', '.join(sorted(RECIPES))}")
    return RECIPES[name]()
