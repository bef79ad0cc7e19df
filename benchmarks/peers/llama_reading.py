"""How llama.cpp reads the files that we write: whether it opens them, with which ids, and what it writes beside our engine."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from starloom.contract import Contract, Prompt
from starloom.contract.fitting import fitted_prompt
from starloom.engine import Engine
from starloom.evaluate import Example

ASK = Path(__file__).parent / "ask_llama.py"
ROOM, NEW = 512, 24  # the most tokens of a prompt, and behind it
FILL_IN = {
    "pre": "fim_prefix",
    "suf": "fim_suffix",
    "mid": "fim_middle",
    "pad": "fim_pad",
    "rep": "repo_name",
    "sep": "file_sep",
}
"""The contract's marks by GGUF's names."""


@dataclass(frozen=True)
class Reading:
    """What agrees for one file: the fill-in ids (of six), the texts' tokens, and the greedy completions, in whole and by token.

    Of completions that differ, the tokens before the first difference count as the same.
    """

    fill_in: int
    tokenised: int
    completions: int
    same_tokens: float


def readings(
    python: Path, files: Mapping[str, Path], opened: Callable[[Path], Engine], asked: Sequence[Example], contract: Contract
) -> dict[str, Reading]:
    """Ask llama-cpp-python of the interpreter `python`, and our engine, about each file. Raises `RuntimeError` with its error.

    The texts are the files of `asked`; completed are its lines, with the suffix in view. `contract` is that of all files.
    """
    texts = [(example.prefix + example.middle.encode() + example.suffix).decode() for example in asked]
    prompts = [fitted_prompt(contract, one.prefix, one.suffix, room=ROOM, heal=False).ids for one in asked]
    questions = {
        "files": {name: str(path) for name, path in files.items()},
        "prompts": prompts,
        "num_tokens": NEW,
        "texts": texts,
    }
    done = subprocess.run([str(python), str(ASK)], input=json.dumps(questions), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{ASK.name} failed: {done.stderr.strip().splitlines()[-1:]}")
    answers, tokenised = json.loads(done.stdout), [contract.tokenizer.encode(text) for text in texts]
    return {name: _reading(answers[name], opened(path), prompts, tokenised) for name, path in files.items()}


def _reading(answer: dict[str, Any], engine: Engine, prompts: list[list[int]], tokenised: list[list[int]]) -> Reading:
    contract = engine.contract
    with engine:
        ours = [engine.generate(Prompt(ids), max_tokens=NEW).ids for ids in prompts]
    theirs = [list(takewhile(lambda token: token not in contract.stops, ids)) for ids in answer["greedy"]]
    pairs = list(zip(ours, theirs, strict=True))
    return Reading(
        sum(answer["fill_in"][key] == getattr(contract.marks, mark) for key, mark in FILL_IN.items()),
        sum(one == other for one, other in zip(tokenised, answer["tokenised"], strict=True)),
        sum(one == other for one, other in pairs),
        sum(_agreed(*pair) for pair in pairs) / sum(max(map(len, pair)) for pair in pairs),
    )


def _agreed(one: list[int], other: list[int]) -> int:
    """How many tokens are the same before the first that is not."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
