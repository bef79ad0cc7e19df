"""A tiny model directory with random weights, for commands that need one."""

from __future__ import annotations

from pathlib import Path

import pytest

from starloom.contract import Contract, Tokenizer
from starloom.model import StarCoder2

TEXTS = ["def main():\n    for name in os.listdir('.'):\n        print(name)\n\n\nmain()\n"] * 3


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "model"
    contract = Contract(Tokenizer.train(TEXTS, 320))
    StarCoder2.from_preset("debug", vocab_size=contract.tokenizer.vocab_size, seed=1).save(path, contract=contract)
    return path
