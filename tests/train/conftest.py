"""A tiny data folder, of the shape that `starloom data build` writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from starloom.contract.contract import Contract, SourceFile
from starloom.contract.shard_writer import ShardWriter
from starloom.contract.tokenizer import Tokenizer


def _function(number: int) -> str:
    return f"def add_{number}(first, second):\n    total = first + second * {number}\n    return [total, 'ü{number}']\n\n\n"


@pytest.fixture(scope="session")
def files() -> list[SourceFile]:
    return [SourceFile(f"pkg/module_{i}.py", "".join(_function(i * 7 + j) for j in range(12))) for i in range(24)]


@pytest.fixture(scope="session")
def tokenizer(files: list[SourceFile]) -> Tokenizer:
    return Tokenizer.train([str(file.text) for file in files], 400)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory, files: list[SourceFile], tokenizer: Tokenizer) -> Path:
    folder = tmp_path_factory.mktemp("data") / "built"
    tokenizer.save(folder / "tokenizer")
    contract = Contract(tokenizer)
    for part, chosen in {"train": files[:20], "validation": files[20:]}.items():
        with ShardWriter(folder / "tokens" / part, tokenizer) as shards:
            for first in range(0, len(chosen), 4):
                shards.add(contract.repository_ids(chosen[first : first + 4], repository=f"team/repo{first}"))
    return folder
