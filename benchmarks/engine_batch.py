"""Sixteen requests at once that share a prefix, on our engine and on llama-server: tokens a second of all together.

    python benchmarks/engine_batch.py PEERS MODEL.gguf [--requests 16] [--new 64] [--rounds 5] [--threads 2] [--record batch]

Each round has a prefix of 1,000 random tokens that nobody has seen; each request adds 20 of its own. The server has a slot for
each request. Ours makes no guesses here. The time runs from the first request's start to the last one's end.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import record
from peers.answers import Answer
from peers.llama_server import LlamaServer
from peers.our_engine import OurEngine

from starloom.contract import Contract

PREFIX, OWN = 1000, 20

Complete = Callable[[Sequence[int], int], Answer]


def prompts(round_: int, requests: int, vocab_size: int) -> list[list[int]]:
    """This round's prompts."""
    draw = np.random.default_rng(round_)
    shared = draw.integers(300, vocab_size, PREFIX).tolist()
    return [shared + draw.integers(300, vocab_size, OWN).tolist() for _ in range(requests)]


def all_at_once(complete: Complete, asked: list[list[int]], new: int) -> dict[str, float]:
    """Ask from a thread for each; tokens a second, and prompt tokens evaluated."""
    with ThreadPoolExecutor(len(asked)) as pool:
        began = time.perf_counter()
        answers = list(pool.map(lambda ids: complete(ids, new), asked))
        seconds = time.perf_counter() - began
    assert all(len(answer.ids) == new for answer in answers)
    evaluated = sum(answer.evaluated for answer in answers)
    return {"tokens_per_s": len(asked) * new / seconds, "seconds": seconds, "evaluated": evaluated}


def measure(arguments: argparse.Namespace) -> list[dict[str, dict[str, float]]]:
    """Rounds, after one that warms up; the systems take turns at being first."""
    tokenizer = Contract.of(arguments.model).tokenizer
    context, found = PREFIX + OWN + arguments.new + 16, []
    with (
        OurEngine.start(arguments.model, threads=arguments.threads, guesses=False) as ours,
        LlamaServer.start(
            arguments.peers / "llama", arguments.model, threads=arguments.threads, context=context, slots=arguments.requests
        ) as server,
    ):
        server.forbidden = tuple(tokenizer.special_ids.values())
        systems: dict[str, Complete] = {"Starloom": ours.complete, "llama-server": server.complete}
        for number in range(arguments.rounds + 1):
            names = sorted(systems, reverse=bool(number % 2))
            asked = prompts(number, arguments.requests, tokenizer.vocab_size)
            one = {name: all_at_once(systems[name], asked, arguments.new) for name in names}
            print(f"round {number}: {one}", file=sys.stderr, flush=True)
            if number:
                found.append({name: one[name] for name in systems})
    return found


def markdown(known: dict[str, Any], title: str, rounds: list[dict[str, dict[str, float]]]) -> str:
    """The record for people."""
    rows = [
        [
            name,
            record.spread([one[name]["tokens_per_s"] for one in rounds], 1),
            f"{statistics.median(one[name]['evaluated'] for one in rounds):,.0f}",
        ]
        for name in rounds[0]
    ]
    ratios = [one["Starloom"]["tokens_per_s"] / one["llama-server"]["tokens_per_s"] for one in rounds]
    rows.append(["**ours / llama-server**", f"{record.spread(ratios, 2)}x", ""])
    columns = ("system", "tokens a second of all: median (least-greatest)", "prompt tokens evaluated")
    return record.heading(title, known) + "\n" + record.table(columns, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--requests", type=int, default=16)
    parser.add_argument("--new", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--record", help="write records/DATE-NAME.json and .md")
    arguments = parser.parse_args()
    known = record.facts()
    try:
        rounds = measure(arguments)
    except (OSError, RuntimeError) as error:
        sys.exit(f"engine_batch: {error}")
    title = f"{arguments.requests} requests at once on {arguments.model.name}, {arguments.new} tokens each"
    record.write(arguments.record, {"facts": known, "rounds": rounds}, markdown(known, title, rounds))


if __name__ == "__main__":
    main()
