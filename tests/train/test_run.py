from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from starloom.contract.contract import Contract
from starloom.contract.tokenizer import Tokenizer
from starloom.core.errors import FormatError, InputError, MismatchError, TrainingError
from starloom.core.settings import with_overrides
from starloom.model.starcoder2 import StarCoder2
from starloom.recipes import recipe
from starloom.train import checkpoint
from starloom.train.config import TrainConfig
from starloom.train.run import Trainer, run


@pytest.fixture
def config(data: Path) -> TrainConfig:
    return with_overrides(recipe("debug"), [f"data={data}"])


def _weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "model" / "model.safetensors")


def _same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_learns_and_leaves_what_it_promises(config: TrainConfig, tmp_path: Path) -> None:
    config = dataclasses.replace(config, steps=60, evaluate_every=30, checkpoint_every=30)
    result = run(config, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert len(losses) == 60
    assert losses[-1] < 0.7 * losses[0]
    assert result.held_out.plain < 2.5
    assert (tmp_path / "run" / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert list((tmp_path / "run" / "tensorboard").iterdir())
    assert StarCoder2.open(result.model).config.vocab_size == Contract.of(result.model).tokenizer.vocab_size


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_stopped_and_resumed_ends_with_the_same_weights(config: TrainConfig, tmp_path: Path, kind: str) -> None:
    config = with_overrides(config, [f"optimizer.kind={kind}"])
    run(config, tmp_path / "whole")
    trainer = Trainer(config, tmp_path / "parts")
    with pytest.raises(KeyboardInterrupt):
        _interrupt_at(trainer, 13)
    run(config, tmp_path / "parts")
    assert _same(_weights(tmp_path / "whole"), _weights(tmp_path / "parts"))
    steps = [json.loads(line)["step"] for line in (tmp_path / "parts" / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)
    assert len(set(steps)) == config.steps


def _interrupt_at(trainer: Trainer, step: int) -> None:
    plain = trainer.train_step

    def train_step() -> tuple[float, float, float]:
        if trainer.step == step:
            raise KeyboardInterrupt
        return plain()

    trainer.train_step = train_step  # type: ignore[method-assign]
    trainer.run()


def test_killed_at_random_moments_it_still_ends_with_the_same_weights(data: Path, tmp_path: Path) -> None:
    """All in processes of their own: sums may come out in another order where memory is laid out otherwise."""
    out = tmp_path / "killed"
    words = [sys.executable, "-m", "starloom", "train", "debug", "--set", f"data={data}", "--out"]
    words_to = [*words, str(out)]
    subprocess.run([*words, str(tmp_path / "whole")], check=True)
    kills = 0
    for wanted in (5, 10):
        process = subprocess.Popen(words_to)
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            if (out / "checkpoints" / f"step-{wanted:08d}").exists():
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.002)
        kills += process.wait() == -signal.SIGKILL
    assert kills, "the run was too fast to be killed"
    subprocess.run(words_to, check=True)
    assert _same(_weights(tmp_path / "whole"), _weights(out))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_polite_signal_leaves_a_checkpoint_of_the_step_it_came_in(
    config: TrainConfig, tmp_path: Path, number: signal.Signals
) -> None:
    before = signal.getsignal(number)  # ignored, say, where a shell runs the tests in the background
    trainer = Trainer(config, tmp_path / "run")
    plain = trainer.train_step

    def signalled() -> tuple[float, float, float]:
        if trainer.step == 7:
            signal.raise_signal(number)
        return plain()

    trainer.train_step = signalled  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    assert checkpoint.newest(tmp_path / "run" / "checkpoints") == tmp_path / "run" / "checkpoints" / "step-00000008"
    assert signal.getsignal(number) == before


def test_only_the_newest_checkpoints_are_kept(config: TrainConfig, tmp_path: Path) -> None:
    run(config, tmp_path / "run")
    assert [path.name for path in sorted((tmp_path / "run" / "checkpoints").iterdir())] == ["step-00000015", "step-00000020"]


def test_a_folder_without_shards_is_said(config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no token shards: make them with `starloom data build`"):
        run(dataclasses.replace(config, data=tmp_path), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_other_settings_in_the_same_folder_are_refused(config: TrainConfig, tmp_path: Path) -> None:
    run(dataclasses.replace(config, steps=5), tmp_path / "run")
    with pytest.raises(MismatchError, match="batch=4, not 8"):
        run(dataclasses.replace(config, batch=8), tmp_path / "run")
    assert run(dataclasses.replace(config, steps=7), tmp_path / "run").steps == 7


def test_a_nan_stops_with_step_and_windows_and_keeps_the_last_checkpoint(config: TrainConfig, tmp_path: Path) -> None:
    trainer = Trainer(config, tmp_path / "run")
    plain = trainer.train_step

    def poisoned() -> tuple[float, float, float]:
        if trainer.step == 7:
            with torch.no_grad():
                trainer.model.model.norm.weight[0] = float("nan")
        return plain()

    trainer.train_step = poisoned  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match=r"nan at step 7 \(windows \[\(0, 28\)"):
        trainer.run()
    assert checkpoint.newest(tmp_path / "run" / "checkpoints") == tmp_path / "run" / "checkpoints" / "step-00000005"


def test_a_run_can_start_from_another_ones_checkpoint(config: TrainConfig, tmp_path: Path) -> None:
    run(config, tmp_path / "first")
    start = tmp_path / "first" / "checkpoints" / "step-00000020"
    trainer = Trainer(dataclasses.replace(config, start=start, sequence=32), tmp_path / "second")
    assert trainer.step == 0
    assert _same(dict(trainer.model.state_dict()), load_file(start / "weights.safetensors"))


def test_a_run_can_start_from_a_model_directory_or_a_gguf_file(config: TrainConfig, tmp_path: Path) -> None:
    model = run(config, tmp_path / "first").model
    opened = StarCoder2.open(model)
    opened.save_gguf(tmp_path / "model.gguf", Contract.of(model), "f32")
    for start in (model, tmp_path / "model.gguf"):
        trainer = Trainer(dataclasses.replace(config, start=start), tmp_path / "second")
        assert trainer.step == 0
        assert _same(dict(trainer.model.state_dict()), dict(opened.state_dict()))
    with pytest.raises(MismatchError, match="another shape than this run"):
        Trainer(with_overrides(config, [f"start={model}", 'model={"num_hidden_layers": 3}']), tmp_path / "third")


@pytest.mark.parametrize("name", ["weights.safetensors", "optimizer.safetensors", "state.json"])
def test_a_damaged_checkpoint_is_named(config: TrainConfig, tmp_path: Path, name: str) -> None:
    run(dataclasses.replace(config, steps=5), tmp_path / "run")
    path = tmp_path / "run" / "checkpoints" / "step-00000005" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(FormatError, match=r"step-00000005.*damaged"):
        run(config, tmp_path / "run")


def test_a_checkpoint_of_another_tokenizer_is_refused(config: TrainConfig, data: Path, tmp_path: Path) -> None:
    run(dataclasses.replace(config, steps=5), tmp_path / "run")
    path = tmp_path / "run" / "checkpoints" / "step-00000005" / "state.json"
    state = json.loads(path.read_text())
    path.write_text(json.dumps({**state, "tokenizer": "0" * 64}))
    with pytest.raises(MismatchError, match="another tokenizer"):
        run(config, tmp_path / "run")
    assert Tokenizer.open(data / "tokenizer").fingerprint == state["tokenizer"]


def test_a_full_disk_leaves_the_older_checkpoint(config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    trainer = Trainer(config, tmp_path / "run")
    plain = trainer.train_step

    def train_step() -> tuple[float, float, float]:
        if trainer.step == 7:
            monkeypatch.setattr(checkpoint, "save_file", full)
        return plain()

    trainer.train_step = train_step  # type: ignore[method-assign]
    with pytest.raises(OSError, match="No space left"):
        trainer.run()
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-00000005"]
