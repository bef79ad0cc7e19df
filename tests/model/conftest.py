"""Fixtures for the tests of the model: one thread, no network, small models."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from small_models import WINDOW, random_model, scaled_down

from starloom.contract import Contract, Tokenizer
from starloom.model import StarCoder2
from starloom.model.presets import preset

os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session", params=("3b", "7b", "15b"))
def size(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def sized(size: str) -> StarCoder2:
    """A model in the proportions of each published size in turn; never changed."""
    return random_model(scaled_down(size))


@pytest.fixture(scope="session")
def debug() -> StarCoder2:
    """The preset `debug` with random weights; never changed."""
    return random_model(preset("debug"))


@pytest.fixture(scope="session")
def contract() -> Contract:
    """A tokenizer of 340 tokens trained on this file."""
    return Contract(Tokenizer.train([Path(__file__).read_text()], 340))


@pytest.fixture(scope="session")
def told(contract: Contract) -> StarCoder2:
    """A random model with the vocabulary of `contract`; never changed."""
    return random_model(preset("debug", vocab_size=contract.tokenizer.vocab_size, sliding_window=WINDOW))
