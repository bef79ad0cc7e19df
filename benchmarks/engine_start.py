"""How long a new process takes until the engine answers: imports, opening a model, its first token.

    python benchmarks/engine_start.py [MODEL.gguf] [--starts 7] [--threads 2] [--record engine-start]

Each start is a process of its own. The first makes the packed file and warms the system's file cache, and is shown apart from the
others: those find everything in memory, as the second start of an editor's session does. Without MODEL it is the embedded model.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

import record

STEPS = ("import", "open", "first token")
START = """
import json, sys, time
times = [time.perf_counter()]
from starloom.contract import Prompt
from starloom.engine import Engine
times.append(time.perf_counter())
with Engine.open(sys.argv[1] or None, threads=int(sys.argv[2])) as engine:
    times.append(time.perf_counter())
    engine.generate(Prompt([1, 2, 3, 4]), max_tokens=1, stops=())
    times.append(time.perf_counter())
print(json.dumps([end - begin for begin, end in zip(times, times[1:])]))
"""


def start(model: Path | None, threads: int) -> list[float]:
    """Seconds of each of `STEPS` in a new process."""
    words = [sys.executable, "-c", START, str(model or ""), str(threads)]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"engine_start: {done.stderr.strip().splitlines()[-1]}")
    seconds: list[float] = json.loads(done.stdout)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--starts", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--record", help="write records/DATE-NAME.json and .md")
    arguments = parser.parse_args()
    known = record.facts()
    first, *others = [start(arguments.model, arguments.threads) for _ in range(arguments.starts + 1)]
    rows = [
        [name, f"{1e3 * first[place]:,.0f}", record.spread([1e3 * one[place] for one in others], 0)]
        for place, name in enumerate(STEPS)
    ]
    rows.append(["all", f"{1e3 * sum(first):,.0f}", record.spread([1e3 * sum(one) for one in others], 0)])
    name = arguments.model.name if arguments.model else "the embedded model"
    size = f"{arguments.model.stat().st_size / 1e9:.2f} GB; " if arguments.model else ""
    note = f"{size}{len(others)} warm starts, each in a process of its own; median (least-greatest), {arguments.threads} threads."
    text = record.heading(f"Starting the engine: {name}", known, note) + "\n" + record.table(["ms", "first start", "warm"], rows)
    medians = {step: statistics.median(one[place] for one in others) for place, step in enumerate(STEPS)}
    record.write(arguments.record, {"facts": known, "first": first, "warm": others, "medians": medians}, text)


if __name__ == "__main__":
    main()
