"""Typing, replayed: a fill-in prompt that grows by a token with each keystroke, on our engine and on llama-server.

    python benchmarks/keystroke_replay.py PEERS MODEL.gguf --random            (random ids; nothing is guessed)
    python benchmarks/keystroke_replay.py PEERS [MODEL.gguf]                   (a file of Python's own library)
        [--keystrokes 30] [--threads 2] [--record keystrokes]

The prompt has 1,172 tokens before the cursor and 300 after it, or fewer where the model's context is shorter; the answer has 16,
chosen greedily. Both orders of a fill-in are measured: SPM, where a keystroke adds to the end of the prompt, and PSM, where the
suffix stands behind it and must be read again. The server keeps its cache and gets ids, so that it is asked in its best way. On
the library's text our engine guesses and uses earlier answers; on random ids it does not. Systems take turns by keystroke.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import record
from peers.answers import Answer
from peers.llama_server import LlamaServer
from peers.our_engine import OurEngine

from starloom.contract import Contract
from starloom.contract.embedded import embedded_model
from starloom.contract.gguf_model import GgufFile
from starloom.contract.layouts import Marks, Order, fill_in_start

PREFIX, SUFFIX, NEW = 1172, 300, 16
ORDERS: tuple[Order, ...] = ("spm", "psm")

Complete = Callable[[Sequence[int], int], Answer]


@dataclass(frozen=True)
class Typing:
    """What stands before the cursor, what is typed token by token, and what stands behind it."""

    before: list[int]
    typed: list[int]
    after: list[int]

    def prompts(self, marks: Marks, order: Order) -> list[list[int]]:
        """The prompt after each keystroke; the first is that before any."""
        return [fill_in_start(marks, self.before + self.typed[:count], self.after, order) for count in range(len(self.typed) + 1)]


def lengths(positions: int, keystrokes: int) -> tuple[int, int]:
    """Tokens before and behind the cursor for a model of so many positions."""
    room = positions - keystrokes - 2 * NEW
    share = min(1.0, room / (PREFIX + SUFFIX))
    return int(PREFIX * share), int(SUFFIX * share)


def library_text(contract: Contract, keystrokes: int, before: int, after: int) -> Typing:
    """Somewhere in `argparse.py`: the text that was there is typed."""
    ids = contract.tokenizer.encode(Path(argparse.__file__).read_bytes())[2000:]
    end = before + keystrokes
    return Typing(ids[:before], ids[before:end], ids[end : end + after])


def random_ids(contract: Contract, keystrokes: int, before: int, after: int) -> Typing:
    """Ids that say nothing."""
    ids = np.random.default_rng(0).integers(300, contract.tokenizer.vocab_size, before + keystrokes + after).tolist()
    return Typing(ids[:before], ids[before : before + keystrokes], ids[before + keystrokes :])


def replay(systems: dict[str, Complete], prompts: list[list[int]]) -> dict[str, list[Answer]]:
    """Every keystroke on every system, in turn. The first prompt is read cold and not counted."""
    found: dict[str, list[Answer]] = {name: [] for name in systems}
    names = list(systems)
    for number, prompt in enumerate(prompts):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            answer = systems[name](prompt, NEW)
            if number:
                found[name].append(answer)
    return found


def summary(answers: list[Answer]) -> dict[str, float]:
    """Milliseconds and tokens of a keystroke."""
    times = [1e3 * answer.seconds for answer in answers]
    evaluated = [answer.evaluated for answer in answers]
    return {
        "median_ms": statistics.median(times),
        "p95_ms": float(np.percentile(times, 95)),
        "greatest_ms": max(times),
        "evaluated_median": statistics.median(evaluated),
        "evaluated_most": max(evaluated),
    }


def markdown(known: dict[str, Any], title: str, results: dict[str, dict[str, float]], note: str) -> str:
    """The record for people; ratios are to llama-server's best order."""
    best = min((values["median_ms"] for name, values in results.items() if name.startswith("llama")), default=0.0)
    rows = [
        [
            name,
            *(f"{values[key]:,.0f}" for key in ("median_ms", "p95_ms", "greatest_ms", "evaluated_median", "evaluated_most")),
            f"{values['median_ms'] / best:.2f}x" if best else "-",
        ]
        for name, values in results.items()
    ]
    columns = ("system", "median ms", "p95 ms", "greatest ms", "evaluated, median", "most", "median, of llama-server's best")
    return record.heading(title, known, note) + "\n" + record.table(columns, rows)


def measure(arguments: argparse.Namespace) -> tuple[dict[str, dict[str, list[Answer]]], dict[str, int], Typing]:
    """Answers by order and system; how many of ours are the server's, by order; what was typed."""
    contract, positions = Contract.of(arguments.model), GgufFile(arguments.model).config.max_position_embeddings
    before, after = lengths(positions, arguments.keystrokes)
    typing = (random_ids if arguments.random else library_text)(contract, arguments.keystrokes, before, after)
    threads, context = arguments.threads, min(positions, before + after + arguments.keystrokes + 2 * NEW)
    found, same = {}, {}
    for order in ORDERS:
        with (
            OurEngine.start(arguments.model, threads=threads, guesses=not arguments.random) as ours,
            LlamaServer.start(arguments.peers / "llama", arguments.model, threads=threads, context=context) as server,
        ):
            server.forbidden = tuple(contract.tokenizer.special_ids.values())
            systems: dict[str, Complete] = {"Starloom": ours.complete, "llama-server": server.complete}
            found[order] = replay(systems, typing.prompts(contract.marks, order))
        same[order] = sum(one.ids == other.ids for one, other in zip(*found[order].values(), strict=True))
    return found, same, typing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", type=Path)
    parser.add_argument("model", type=Path, nargs="?", default=embedded_model())
    parser.add_argument("--random", action="store_true", help="random ids, and no guesses")
    parser.add_argument("--keystrokes", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--record", help="write records/DATE-NAME.json and .md")
    arguments = parser.parse_args()
    known = record.facts()
    try:
        found, same, typing = measure(arguments)
    except (OSError, RuntimeError) as error:
        sys.exit(f"keystroke_replay: {error}")
    results = {
        f"{name}, {order.upper()}": summary(values) for order, answers in found.items() for name, values in answers.items()
    }
    equal = ", ".join(f"{count} of {arguments.keystrokes} in {order.upper()}" for order, count in same.items())
    title = f"Keystrokes on {arguments.model.name}, {'random ids' if arguments.random else 'Python text'}"
    raw = {order: {name: [asdict(one) for one in values] for name, values in answers.items()} for order, answers in found.items()}
    sizes = f"{len(typing.before)} + {len(typing.after)} tokens, {NEW} an answer, greedy."
    text = markdown(known, title, results, f"{sizes} Equal answers: {equal}.")
    record.write(arguments.record, {"facts": known, "results": results, "answers": json.loads(json.dumps(raw))}, text)


if __name__ == "__main__":
    main()
