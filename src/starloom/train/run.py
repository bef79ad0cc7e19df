"""The training run: `run(config, out)`. Killed at any moment and called again, it ends with the same weights.

`out/` holds `config.json`, `checkpoints/`, `compiled/`, `metrics.jsonl`, `tensorboard/`, `loss.png` and, at the end, the model
directory `model/`.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from starloom.contract.contract import Contract
from starloom.contract.shards import Shards
from starloom.contract.tokenizer import Tokenizer
from starloom.core.errors import InputError, MismatchError, TrainingError
from starloom.core.files import write_text
from starloom.core.progress import Bar, bar
from starloom.core.settings import to_mapping
from starloom.model.starcoder2 import StarCoder2
from starloom.train import checkpoint, compilation, memory
from starloom.train.batches import Batch, Batches
from starloom.train.config import TrainConfig
from starloom.train.evaluation import Evaluation, HeldOut
from starloom.train.fill_in import FillIn
from starloom.train.interruption import Interruption
from starloom.train.journal import Journal
from starloom.train.optimizer import Optimizer
from starloom.train.schedule import rate_share
from starloom.train.step import Step

_FREE_TO_CHANGE = ("steps", "schedule", "log_every", "evaluate_every", "evaluate_windows", "checkpoint_every", "keep_checkpoints")


@dataclass(frozen=True)
class Result:
    """Where the model is, and its last held-out measurement (bits per byte)."""

    model: Path
    steps: int
    tokens: int
    held_out: HeldOut


def run(config: TrainConfig, out: Path) -> Result:
    """Train from the beginning, or go on from the newest checkpoint in `out`. Raises `StarloomError`s."""
    trainer = Trainer(config, out)
    return trainer.run()


class Trainer:
    """A model, its optimizer and its data at some step of a run."""

    def __init__(self, config: TrainConfig, out: Path) -> None:
        self.config, self.out = config, out
        if not (config.data / "tokens").is_dir():
            raise InputError(
                f"'{config.data}' holds no token shards: make them with `starloom data build`, and name the folder with data="
            )
        tokenizer = Tokenizer.open(config.data / "tokenizer")
        self.contract = Contract(tokenizer)
        shards = Shards.open(config.data / "tokens" / "train", tokenizer)
        self.batches = Batches(
            shards, FillIn(self.contract, config.fill_in), sequence=config.sequence, batch=config.batch, seed=config.seed
        )
        held_out = Shards.open(config.data / "tokens" / "validation", tokenizer)
        self.evaluation = Evaluation(held_out, self.contract, sequence=config.sequence, windows=config.evaluate_windows)
        overrides = {"vocab_size": tokenizer.vocab_size, **config.model}
        self.model = StarCoder2.from_preset(config.preset, seed=config.seed, **overrides)
        self.optimizer = Optimizer(self.model, config.optimizer)
        self.step, self.tokens = 0, 0
        self._resume()
        self._forward_backward = Step(
            self.model,
            precision=config.precision,
            compiled=config.compile,
            loss_chunk=config.loss_chunk,
            micro_batch=config.micro_batch,
        )

    def _resume(self) -> None:
        path = checkpoint.newest(self.out / "checkpoints")
        if path is not None:
            state = self._load(path)
            self._check_same(state.settings)
            self.step, self.tokens = state.step, state.tokens
        elif self.config.start is not None:
            self._start(self.config.start)

    def _start(self, path: Path) -> None:
        """Begin at another run's checkpoint, or at the weights alone of a model directory or GGUF file."""
        if checkpoint.is_checkpoint(path):
            self._load(path)
            return
        self._check_tokenizer(path, Contract.of(path).tokenizer.fingerprint)
        weights = StarCoder2.open(path, torch.float32)
        try:
            self.model.load_state_dict(weights.state_dict(), strict=True)
        except RuntimeError as error:
            raise MismatchError(f"the model '{path}' has another shape than this run: {error}") from error

    def _load(self, path: Path) -> checkpoint.State:
        state = checkpoint.read_state(path)
        self._check_tokenizer(path, state.tokenizer)
        checkpoint.load(path, self.model, self.optimizer)
        return state

    def _check_tokenizer(self, path: Path, fingerprint: str) -> None:
        if fingerprint != self.contract.tokenizer.fingerprint:
            raise MismatchError(f"'{path}' was trained with another tokenizer than the data in '{self.config.data}'")

    def _check_same(self, before: dict[str, Any]) -> None:
        for name, value in json.loads(json.dumps(to_mapping(self.config))).items():
            if name not in _FREE_TO_CHANGE and before.get(name) != value:
                raise MismatchError(
                    f"the run in '{self.out}' has {name}={before.get(name)!r}, not {value!r}: "
                    "name another --out, or go on with the same settings"
                )

    def run(self) -> Result:
        """All steps that are left, then the model directory. Ctrl-C writes a checkpoint at the end of the step and stops."""
        memory.keep_freed()
        if self.config.compile:
            compilation.use_cache(self.out / "compiled")
        write_text(self.out / "config.json", json.dumps(to_mapping(self.config), indent=1) + "\n")
        total = self.config.steps
        tokens_per_step = self.config.batch * self.config.sequence
        with (
            Journal(self.out, first_step=self.step) as journal,
            bar("training", total * tokens_per_step, done=self.step * tokens_per_step) as progress,
            Interruption() as interruption,
        ):
            began, began_tokens = time.perf_counter(), self.tokens
            while self.step < total:
                loss, norm, share = self.train_step()
                progress.advance(tokens_per_step)
                if self.config.compile:
                    compilation.mark_whole(self.out / "compiled")
                if self.step % self.config.log_every == 0 or self.step == total:
                    rate = (self.tokens - began_tokens) / (time.perf_counter() - began)
                    self._log(journal, progress, loss, norm, share, rate)
                    began, began_tokens = time.perf_counter(), self.tokens
                if self.step % self.config.evaluate_every == 0 and self.step < total:
                    self._evaluate(journal)
                if self.step % self.config.checkpoint_every == 0 or self.step == total or interruption.asked:
                    self._checkpoint(journal)
                if interruption.asked:
                    raise KeyboardInterrupt
            held_out = self._evaluate(journal)
            journal.plot()
        path = self.out / "model"
        self.model.save(path, contract=self.contract, replace=True)
        return Result(path, self.step, self.tokens, held_out)

    def train_step(self) -> tuple[float, float, float]:
        """One optimizer step; gives the mean loss (nats a token), the gradient's norm and the learning rate's share."""
        batch = self.batches.of_step(self.step)
        loss = self._forward_backward(batch.inputs_BT, batch.targets_BT)
        share = rate_share(self.config.schedule, self.step, self.config.steps)
        self._check_finite(loss, batch)
        norm = self.optimizer.step(share)
        self.step += 1
        self.tokens += batch.inputs_BT.numel()
        return loss, norm, share

    def _check_finite(self, loss: float, batch: Batch) -> None:
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss} at step {self.step} (windows {batch.windows} as epoch, place): "
                f"the newest checkpoint in '{self.out / 'checkpoints'}' is from before; a lower learning rate may help"
            )

    def _log(self, journal: Journal, progress: Bar, loss: float, norm: float, share: float, rate: float) -> None:
        progress.say(f"loss {loss:.3f}  {rate:,.0f} tokens/s")
        values = {"tokens": self.tokens, "loss": loss, "gradient_norm": norm, "rate_share": share, "tokens_per_s": rate}
        journal.write(self.step, values)

    def _evaluate(self, journal: Journal) -> HeldOut:
        held_out = self.evaluation.of(self.model)
        values = {f"held_out_{name}": value for name, value in vars(held_out).items()}
        journal.write(self.step, {"tokens": self.tokens, **values})
        return held_out

    def _checkpoint(self, journal: Journal) -> None:
        journal.sync()
        journal.plot()
        settings = json.loads(json.dumps(to_mapping(self.config)))
        state = checkpoint.State(self.step, self.tokens, settings, self.contract.tokenizer.fingerprint)
        checkpoint.save(self.out / "checkpoints", self.model, self.optimizer, state, keep=self.config.keep_checkpoints)
