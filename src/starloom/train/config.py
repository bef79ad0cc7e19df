"""What a training run is: one dataclass per concern, all values plain, so that a run can be written down and repeated."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from starloom.core.errors import SettingsError

CutKind = Literal["characters", "line_end", "line", "lines", "span"]


def _check(condition: bool, name: str, value: object, valid: str) -> None:
    if not condition:
        raise SettingsError(f"'{name}' is {value!r}; it must be {valid}")


def _check_share(name: str, value: float) -> None:
    _check(0.0 <= value <= 1.0, name, value, "between 0 and 1")


@dataclass(frozen=True)
class FillInConfig:
    """How files become fill-in-the-middle examples (StarCoder 2, arXiv 2402.19173 §5.1, is the default).

    A repository is chosen with `repository_rate`, each of its files then with `file_rate`; `spm_share` of the chosen
    ones are laid out suffix first. `cuts` weighs the ways of choosing the middle (see `fill_in.py`). With
    `shortest_piece`, a file is first divided at line ends into pieces of that many tokens up to its whole length
    (log-uniform), so that a window holds several middles.
    """

    repository_rate: float = 0.5
    file_rate: float = 0.5
    spm_share: float = 0.5
    cuts: dict[str, float] = field(default_factory=lambda: {"characters": 1.0})
    shortest_piece: int | None = None

    def __post_init__(self) -> None:
        for name in ("repository_rate", "file_rate", "spm_share"):
            _check_share(f"fill_in.{name}", getattr(self, name))
        kinds = CutKind.__args__  # type: ignore[attr-defined]
        for kind, weight in self.cuts.items():
            _check(kind in kinds, "fill_in.cuts", kind, f"one of {', '.join(kinds)}")
            _check(weight >= 0, f"fill_in.cuts.{kind}", weight, "zero or more")
        _check(sum(self.cuts.values()) > 0, "fill_in.cuts", self.cuts, "weights of which one is above zero")
        _check(
            self.shortest_piece is None or self.shortest_piece >= 16,
            "fill_in.shortest_piece",
            self.shortest_piece,
            "null or >= 16",
        )


@dataclass(frozen=True)
class OptimizerConfig:
    """Which optimizer moves the weights, and how fast.

    `adamw` moves everything by AdamW at `learning_rate`. `muon` moves the matrices of the layers by Muon (torch.optim)
    at `muon_learning_rate`, scaled to AdamW's update size, and all else by AdamW.
    """

    kind: Literal["adamw", "muon"] = "muon"
    learning_rate: float = 3e-3
    muon_learning_rate: float = 1e-2
    betas: tuple[float, ...] = (0.9, 0.95)
    epsilon: float = 1e-8
    weight_decay: float = 0.1
    clip: float = 1.0

    def __post_init__(self) -> None:
        _check(self.learning_rate > 0, "optimizer.learning_rate", self.learning_rate, "above zero")
        _check(self.muon_learning_rate > 0, "optimizer.muon_learning_rate", self.muon_learning_rate, "above zero")
        _check(self.clip > 0, "optimizer.clip", self.clip, "above zero")
        _check(len(self.betas) == 2, "optimizer.betas", self.betas, "two numbers")


@dataclass(frozen=True)
class ScheduleConfig:
    """The learning rate over a run, as a share of the peak: linear warm-up, then `cosine` or `wsd` (flat, then linear decay)."""

    kind: Literal["cosine", "wsd"] = "wsd"
    warmup_steps: int = 100
    decay_share: float = 0.2
    final_share: float = 0.0

    def __post_init__(self) -> None:
        _check(self.warmup_steps >= 0, "schedule.warmup_steps", self.warmup_steps, "zero or more")
        _check_share("schedule.decay_share", self.decay_share)
        _check_share("schedule.final_share", self.final_share)


@dataclass(frozen=True)
class TrainConfig:
    """One training run. `batch` and `micro_batch` count sequences, `sequence` and all other lengths count tokens."""

    data: Path
    preset: str
    steps: int
    model: dict[str, Any] = field(default_factory=dict)
    start: Path | None = None
    seed: int = 0
    sequence: int = 512
    batch: int = 16
    micro_batch: int = 16
    precision: Literal["fp32", "bf16"] = "bf16"
    compile: bool = True
    loss_chunk: int = 2048
    fill_in: FillInConfig = field(default_factory=FillInConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    log_every: int = 10
    evaluate_every: int = 500
    evaluate_windows: int = 64
    checkpoint_every: int = 500
    keep_checkpoints: int = 2

    def __post_init__(self) -> None:
        counts = ("steps", "sequence", "batch", "micro_batch", "loss_chunk", "log_every", "evaluate_every")
        for name in (*counts, "evaluate_windows", "checkpoint_every", "keep_checkpoints"):
            _check(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        _check(self.batch % self.micro_batch == 0, "micro_batch", self.micro_batch, f"a divisor of batch ({self.batch})")
        _check(self.sequence >= 32, "sequence", self.sequence, "at least 32")
