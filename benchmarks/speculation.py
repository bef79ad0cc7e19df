"""What guessing gains where text repeats, and what it costs where it does not: decoding with guesses beside plain decoding.

    python benchmarks/speculation.py [--model MODEL.gguf | --shape 3b --quant q4] [--cases 12] [--rounds 3] [--threads 2]
        [--record speculation]

The model's choices are replaced by a given text, while every step computes all that it would compute; so a model of any size and
with random weights writes real code, and both ways write the same. The repository is the `email` package of Python's library:

    copied        functions of it, word by word, at another place
    renamed       the same with one name replaced throughout: an edit that repeats repository text
    other code    the `unittest` package, which is not in the repository: what repeats there, repeats in the file itself
    random        ids in no order: nothing repeats, so that guessing can only cost

The prompt is in the cache when the clock starts. Within a case both ways run directly after each other, each in a new engine.
"""

from __future__ import annotations

import argparse
import ast
import collections
import email
import keyword
import random
import re
import statistics
import sys
import time
import unittest
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import record
from peers.random_gguf import contract_of

from starloom.contract import Contract, Prompt
from starloom.contract.embedded import embedded_model
from starloom.contract.presets import PRESETS
from starloom.engine import Engine
from starloom.engine.core import Core, Part
from starloom.engine.native_core import NativeCore
from starloom.engine.packed import open_packed
from starloom.engine.random_weights import random_packed

CONTEXT, NEW, WARM_UP = 600, 160, 8
F32 = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class Case:
    """A prompt and the text that is written behind it."""

    prompt: list[int]
    text: list[int]


class ScriptedCore:
    """A core whose likeliest token is always the script's. For one sequence at a time."""

    def __init__(self, core: Core) -> None:
        self._core, self.script = core, list[int]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)

    def step(self, parts: Sequence[Part]) -> F32:
        """The core's step, then the script's choice."""
        logits, (part,) = self._core.step(parts), parts
        first = part.position + len(part.ids) - part.num_logits + 1
        for row, place in enumerate(range(first, first + part.num_logits)):
            if place < len(self.script):
                logits[row, self.script[place]] = 1e4
        return logits


def workloads(contract: Contract, count: int) -> tuple[list[list[int]], dict[str, list[Case]]]:
    """The repository's files, and the cases by name."""
    draw, encode = random.Random(0), contract.tokenizer.encode
    sources = [path.read_text() for path in sorted(Path(email.__file__).parent.glob("*.py"))]
    files = [encode(source) for source in sources]
    functions = [text for source in sources for text in _functions(source)]
    draw.shuffle(functions)

    def behind(text: str) -> Case:
        """`text` but for its first line, which is in the prompt behind a piece of some file."""
        start = draw.choice([file for file in files if len(file) > CONTEXT])[:CONTEXT]
        head, _, body = text.partition("\n")
        return Case([*start, *encode(f"{head}\n")], encode(body)[:NEW])

    others = [encode(path.read_text()) for path in sorted(Path(unittest.__file__).parent.glob("*.py"))]
    others = [file for file in others if len(file) >= CONTEXT + NEW][:count]
    numbers = [[draw.randrange(300, contract.tokenizer.vocab_size) for _ in range(CONTEXT + NEW)] for _ in range(count)]
    return files, {
        "copied": [behind(text) for text in functions[:count]],
        "renamed": [behind(_renamed(text, draw)) for text in functions[:count]],
        "other code": [Case(ids[:CONTEXT], ids[CONTEXT : CONTEXT + NEW]) for ids in others],
        "random": [Case(ids[:CONTEXT], ids[CONTEXT:]) for ids in numbers],
    }


def _functions(source: str) -> list[str]:
    """The text of functions of 8 to 40 lines."""
    lines = source.splitlines(keepends=True)
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    spans = [(node.lineno - 1, node.end_lineno or 0) for node in nodes]
    return ["".join(lines[start:end]) for start, end in spans if 8 <= end - start <= 40]


def _renamed(text: str, draw: random.Random) -> str:
    """`text` with one of its four most frequent names replaced."""
    counts = collections.Counter(re.findall(r"\b[a-z_]{3,}\b", text))
    names = [name for name, _ in counts.most_common(12) if not keyword.iskeyword(name) and name != "self"]
    name = draw.choice(names[:4])
    return re.sub(rf"\b{name}\b", f"{draw.choice(['new', 'first', 'other'])}_{name}", text)


def run(engine: Engine, core: ScriptedCore, case: Case, speculate: bool) -> float:
    """Seconds that a case's text takes."""
    core.script = [*case.prompt, *case.text]
    for _ in range(WARM_UP):
        engine.generate(Prompt(case.prompt), max_tokens=1, stops=(), speculate=False)
    began = time.perf_counter()
    done = engine.generate(Prompt(case.prompt), max_tokens=len(case.text), stops=(), speculate=speculate)
    seconds = time.perf_counter() - began
    assert done.ids == case.text, "the text written is the script's, with guesses and without"
    return seconds


def measure(core: ScriptedCore, contract: Contract, count: int, rounds: int) -> dict[str, dict[str, Any]]:
    """Seconds of all cases by name and way, each way first in every other case, in an engine that has written nothing."""
    files, cases = workloads(contract, count)
    found: dict[str, dict[str, Any]] = {name: {"guesses": [], "plain": [], "guessed": 0, "accepted": 0} for name in cases}
    for number in range(rounds):
        for name in cases:
            for place, case in enumerate(cases[name]):
                for speculate in (True, False) if (number + place) % 2 else (False, True):
                    with Engine(core, contract) as engine:
                        for file in files:
                            engine.learn(file)
                        found[name]["guesses" if speculate else "plain"].append(run(engine, core, case, speculate))
                        stats = engine.stats()
                    found[name]["guessed"] += stats.guessed
                    found[name]["accepted"] += stats.accepted
            print(f"round {number + 1}, {name}: {_gain(found[name]):.2f}x", file=sys.stderr, flush=True)
    for name, values in found.items():
        values["tokens"] = [len(case.text) for case in cases[name]] * rounds
    return found


def _gain(values: dict[str, Any]) -> float:
    return float(sum(values["plain"]) / sum(values["guesses"]))


def markdown(known: dict[str, Any], title: str, found: dict[str, dict[str, Any]]) -> str:
    """The record for people."""
    rows = []
    for name, values in found.items():
        each = sorted(plain / guesses for plain, guesses in zip(values["plain"], values["guesses"], strict=True))
        rates = (sum(values["tokens"]) / sum(values[way]) for way in ("plain", "guesses"))
        share = f"{values['accepted']:,} of {values['guessed']:,}"
        gains = (f"{_gain(values):.2f}x", f"{statistics.median(each):.2f}x", f"{each[0]:.2f}-{each[-1]:.2f}x")
        rows.append([name, *(f"{rate:,.1f}" for rate in rates), *gains, share])
    columns = ("text", "plain tokens/s", "with guesses", "gain", "median of cases", "least-greatest", "guesses that held")
    return record.heading(title, known) + "\n" + record.table(columns, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="the embedded model when left out")
    parser.add_argument("--shape", choices=sorted(PRESETS), help="random weights of a preset instead")
    parser.add_argument("--quant", default="q4", help="of the random weights")
    parser.add_argument("--cases", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--record", help="write records/DATE-NAME.json and .md")
    arguments = parser.parse_args()
    known = record.facts()
    path = arguments.model or embedded_model()
    if arguments.shape:
        model = random_packed(arguments.shape, arguments.quant)
        contract, name = contract_of(model.config.vocab_size), f"{arguments.shape}, {arguments.quant}, random weights"
    else:
        model, contract, name = open_packed(path), Contract.of(path), path.name
    core = ScriptedCore(NativeCore(model, threads=arguments.threads))
    found = measure(core, contract, arguments.cases, arguments.rounds)
    text = markdown(known, f"Guesses: {name}, {arguments.threads} threads", found)
    record.write(arguments.record, {"facts": known, "results": found}, text)


if __name__ == "__main__":
    main()
