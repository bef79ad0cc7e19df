"""Tokenizers that the contract's tests share: a small trained one, the smallest there is, and the published one."""

from pathlib import Path

import pytest

from starloom.contract.tokenizer import Tokenizer

SHARED = Path(__file__).parents[2].parent / "shared"

TEXTS = [
    'def add(first, second):\n    """Add two numbers."""\n    return first + second\n',
    "import os\n\n\nclass Path:\n    def __init__(self, name: str) -> None:\n        self.name = name\n",
    "for index in range(100):\r\n    print(index, 'größer', \"€\", '<fim_middle>')\r\n",
] * 4


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return TEXTS


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(TEXTS, 400)


@pytest.fixture(scope="session")
def smallest() -> Tokenizer:
    return Tokenizer.train([], 294)


@pytest.fixture(scope="session")
def published_path() -> Path:
    path = SHARED / "data" / "tokenizer" / "ggml-vocab-starcoder.gguf"
    if not path.is_file():
        pytest.skip("the published vocabulary, ../shared/data/tokenizer/ggml-vocab-starcoder.gguf, is not here")
    return path


@pytest.fixture(scope="session")
def published(published_path: Path) -> Tokenizer:
    return Tokenizer.open(published_path)
