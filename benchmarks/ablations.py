"""Short trainings at equal processor time, to settle the embedded model's shape and recipe.

    python benchmarks/ablations.py benchmarks/embedded/ablations.json --subset FOLDER --out RECORD.json [--seconds 480]

The plan is a list of {"name", "set": ["name=value", ...]}: settings laid over the recipe `embedded`, where SUBSET stands for
`--subset`, below which `data build` has put the same sources once a vocabulary (`FOLDER-8192`, ...). Each variant trains
on one thread; its speed is measured first and gives the number of steps that fill the budget, so that the
schedule ends with the budget. Processor seconds are counted, not wall-clock, so that other work on the machine tilts nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

WARM_UP, TIMED = 3, 5


def _train(settings: list[str], seconds: float) -> dict[str, Any]:
    from starloom.core.settings import with_overrides
    from starloom.recipes import recipe
    from starloom.train import memory
    from starloom.train.run import Trainer

    memory.keep_freed()
    config = with_overrides(recipe("embedded"), settings)
    with tempfile.TemporaryDirectory() as folder:
        clock = Trainer(config, Path(folder) / "clock")
        for _ in range(WARM_UP):
            clock.train_step()
        began = time.process_time()
        for _ in range(TIMED):
            clock.train_step()
        per_step = (time.process_time() - began) / TIMED
        steps = max(1, int(seconds / per_step))
        trainer = Trainer(
            with_overrides(config, [f"steps={steps}", "evaluate_every=1000000", "checkpoint_every=1000000"]), Path(folder) / "run"
        )
        trainer.evaluation = clock.evaluation
        result = trainer.run()
    parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
    return {
        "parameters": parameters,
        "steps": result.steps,
        "tokens": result.tokens,
        "tokens_per_cpu_s": config.batch * config.sequence / per_step,
        **vars(result.held_out),
    }


def _apart(variant: dict[str, Any], seconds: float, subset: Path) -> dict[str, Any]:
    settings = [setting.replace("SUBSET", str(subset)) for setting in variant["set"]]
    words = [sys.executable, __file__, "--one", json.dumps(settings), "--seconds", str(seconds)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode:
        raise SystemExit(f"the variant '{variant['name']}' failed")
    result = {**variant, **json.loads(done.stdout.splitlines()[-1])}
    print(json.dumps(result), file=sys.stderr)
    return result


def _show(results: list[dict[str, Any]], console: Console) -> None:
    table = Table("variant", "parameters", "tokens", "plain", "PSM", "SPM", title="held out, bits a byte")
    for row in results:
        table.add_row(
            row["name"], f"{row['parameters']:,}", f"{row['tokens']:,}", *(f"{row[name]:.4f}" for name in ("plain", "psm", "spm"))
        )
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", type=Path, nargs="?")
    parser.add_argument("--seconds", type=float, default=480)
    parser.add_argument("--subset", type=Path, default=Path("subset"), help="what SUBSET in the plan stands for")
    parser.add_argument("--at-once", type=int, default=2, help="how many variants train beside each other")
    parser.add_argument("--one", help="train one variant (a JSON list of settings) in this process")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(_train(json.loads(arguments.one), arguments.seconds)))
        return
    plan = json.loads(arguments.plan.read_text())
    with ThreadPoolExecutor(arguments.at_once) as pool:
        results = list(pool.map(lambda variant: _apart(variant, arguments.seconds, arguments.subset), plan))
    _show(results, Console(width=120))
    if arguments.out:
        arguments.out.write_text(json.dumps({"seconds": arguments.seconds, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
