"""Made-up repositories of different sizes, and generators that need no model."""

from __future__ import annotations

import pytest

from starloom.evaluate import Example

Documents = list[tuple[str, str, str]]


def _source(name: str, functions: int) -> str:
    function = "def {0}(first, second):\n    # sum of both\n    total = first + second\n    return [\n        total,\n    ]\n\n\n"
    body = "".join(function.format(f"{name}_{number}") for number in range(functions))
    return f'"""Module {name}: größer."""\n\nimport os\n\n\n{body}'


@pytest.fixture
def documents() -> Documents:
    large = [("team/large", f"pkg/module_{number}.py", _source(f"large{number}", 40)) for number in range(30)]
    small = [
        ("team/small", "only.py", _source("small", 6)),
        ("team/windows", "crlf.py", _source("crlf", 9).replace("\n", "\r\n")),
    ]
    return [*large, *small]


@pytest.fixture
def example() -> Example:
    return Example("line", "team/repo", "pkg/a.py", 7, b"def f(x):\n    ", "return x + 1", b"\n\n\nprint(f(2))\n")
