"""The embedded model at real cursors in real files: Starloom's own sources, which it was not trained on.

    python benchmarks/demo.py [--count 8] [--seed 7]

The places are line ends drawn at random, not chosen, so good and bad completions show as they come; each ends with its line.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from starloom.engine import Engine
from starloom.evaluate import Example, examples

SOURCES = Path(__file__).parents[1] / "src" / "starloom"
MAX_TOKENS = 48


def _documents() -> list[tuple[str, str, str]]:
    return [("starloom", str(path.relative_to(SOURCES)), path.read_text()) for path in sorted(SOURCES.rglob("*.py"))]


def _show(console: Console, example: Example, completion: str, seconds: float) -> bool:
    before = example.prefix.decode().split("\n")
    after = example.suffix.decode().split("\n")
    same = completion.rstrip() == example.middle.rstrip()
    console.rule(f"{example.path}, line {example.line}", align="left")
    shown = Text("\n".join(before[-5:]), style="dim")
    shown.append(completion, style="bold green" if same else "bold yellow")
    shown.append("\n".join(after[:3]), style="dim")
    console.print(shown, soft_wrap=True)
    verdict = "exactly what was there" if same else f"really there: {example.middle.strip()}"
    console.print(Text(f"    {verdict}   ({seconds * 1e3:.0f} ms)", style="green" if same else "yellow"), soft_wrap=True)
    return same


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    console = Console(highlight=False)
    right = 0
    with Engine.open() as engine:
        for example in examples(_documents(), kind="line_end", count=arguments.count, seed=arguments.seed):
            began = time.perf_counter()
            completion = engine.complete(example.prefix, example.suffix, max_tokens=MAX_TOKENS, stop_texts=("\n",)).text
            right += _show(console, example, completion, time.perf_counter() - began)
    console.rule()
    console.print(f"{right} of {arguments.count} exactly right; at your own cursor:  .venv/bin/starloom complete FILE:LINE:COL")


if __name__ == "__main__":
    main()
