"""Put a trained model into the package, with its model card and data card.

    python benchmarks/embedded_pack.py model --run RUN
    python benchmarks/embedded_pack.py cards --data DATA --runs RUN... --evaluation CARD.md [--anew]

`model` writes one 8-bit GGUF file to `src/starloom/embedded/`. `cards` writes `MODEL_CARD.md`, `DATA_CARD.md`, `loss.png` and
`training.json` beside it: from the data's report, the new runs' metrics (each run begins where the one before it ended, the
first one at the model that was in the package), the older runs in `training.json`, and the tables that
`embedded_model.py --card` wrote.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot

from starloom.contract import Contract
from starloom.core.files import new_file, write_text
from starloom.evaluate.report import table
from starloom.model import StarCoder2

EMBEDDED = Path(__file__).parents[1] / "src" / "starloom" / "embedded"
NAME = "starloom-python-6m.gguf"
HISTORY = EMBEDDED / "training.json"


class Point(NamedTuple):
    """Some measurements after so many tokens of the whole chain of runs."""

    tokens: int
    values: dict[str, float]


class Run(NamedTuple):
    """One run of the chain: its settings, how many tokens lay before it, how long it took, and what it measured."""

    settings: dict[str, Any]
    begin: int
    tokens: int
    hours: float
    points: list[Point]


class Line(NamedTuple):
    """Held-out bits a byte of decayed models: `bits` after `tokens`, less by `gain` with each doubling."""

    tokens: int
    bits: float
    gain: float

    def at(self, tokens: float) -> float:
        """Bits a byte after `tokens`."""
        return self.bits - self.gain * math.log2(tokens / self.tokens)


def pack(run: Path) -> None:
    model = run / "model"
    StarCoder2.open(model).save_gguf(EMBEDDED / NAME, Contract.of(model))


def read_history() -> list[Run]:
    """The runs behind the model in the package."""
    rows = json.loads(HISTORY.read_text())["runs"]
    return [Run(**row | {"points": [Point(tokens, values) for tokens, values in row["points"]]}) for row in rows]


def extended(history: list[Run], folders: list[Path]) -> list[Run]:
    """The history with new runs behind it, each begun where the one before ended or at one of its checkpoints."""
    for folder in folders:
        settings = json.loads((folder / "config.json").read_text())
        start = settings["start"] and Path(settings["start"])
        before = history[-1].begin if history else 0
        begin = before + _tokens_of(start) if start and start.is_dir() else before + (history[-1].tokens if history else 0)
        settings |= {"data": "DATA", "start": start and ("CHECKPOINT" if start.is_dir() else "the model before")}
        history = [*history, _measured(folder, settings, begin)]
    return history


def _measured(folder: Path, settings: dict[str, Any], begin: int) -> Run:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    found = [Point(begin + line.pop("tokens"), line) for line in lines]
    seconds, done = 0.0, begin
    for point in found:
        if "tokens_per_s" in point.values:
            seconds += (point.tokens - done) / point.values["tokens_per_s"]
            done = point.tokens
    return Run(settings, begin, found[-1].tokens - begin, seconds / 3600, [_kept(point) for point in found if _telling(point)])


def _telling(point: Point) -> bool:
    """Held-out measurements, and the loss every hundred steps: enough for the plot."""
    return "held_out_plain" in point.values or int(point.values["step"]) % 100 == 0


def _kept(point: Point) -> Point:
    return Point(point.tokens, {name: round(value, 4) for name, value in point.values.items() if name[:4] in ("held", "loss")})


def _tokens_of(checkpoint: Path) -> int:
    return int(json.loads((checkpoint / "state.json").read_text())["tokens"])


def fitted(decayed: list[Point]) -> Line | None:
    """The least-squares line through decayed models over the doublings of their tokens; None for fewer than two.

    Measurements within the flat stage say little: there the rate keeps the model away from what a decay would reach.
    """
    if len(decayed) < 2:
        return None
    doublings = [math.log2(point.tokens) for point in decayed]
    slope, start = np.polyfit(doublings, [point.values["held_out_plain"] for point in decayed], 1)
    return Line(decayed[-1].tokens, float(start + slope * doublings[-1]), float(-slope))


def ends_of_decays(history: list[Run]) -> list[Point]:
    """The last held-out measurement of each run whose rate fell to zero."""
    falls = [run for run in history if run.settings["schedule"]["decay_share"] == 1.0]
    return [[point for point in run.points if "held_out_plain" in point.values][-1] for run in falls]


def plot(found: list[Point], line: Line | None, path: Path) -> None:
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), constrained_layout=True)
    for axes, names in ((left, ["loss"]), (right, ["held_out_plain", "held_out_psm", "held_out_spm"])):
        for name in names:
            axes.plot(*zip(*[(p.tokens / 1e6, p.values[name]) for p in found if name in p.values], strict=True), label=name)
        axes.set_xlabel("million tokens")
        axes.grid(alpha=0.3)
    left.set_title("training loss, nats a token")
    if line is not None:
        span = np.linspace(found[0].tokens, 2 * found[-1].tokens, 200)
        right.plot(span / 1e6, [line.at(count) for count in span], "k--", linewidth=0.8, label="plain, decayed models")
    right.set_title("held out, bits a byte")
    right.legend()
    with new_file(path) as partial:
        figure.savefig(partial, format="png", dpi=100)


def model_card(history: list[Run], evaluation: str) -> str:
    found = [point for run in history for point in run.points]
    decayed = ends_of_decays(history)
    line = fitted(decayed)
    plot(found, line, EMBEDDED / "loss.png")
    last = next(point for point in reversed(found) if "held_out_plain" in point.values)
    hours = sum(run.hours for run in history)
    return "\n".join(
        [INTRODUCTION, _facts(last, hours), ON_MIDDLES, _outlook(line, len(decayed)), evaluation, AGAIN, *_settings(history)]
    )


INTRODUCTION = """# The embedded model

A StarCoder 2 architecture, small enough to train on two cores, for Python; it fills in at a cursor. Trained by this package from
its own recipe on the packages of `DATA_CARD.md` and on nothing else; 8-bit weights (Q8_0). It shows that everything works with no
network; it is no tool to trust: it knows little and invents names.
"""

ON_MIDDLES = """PSM and SPM are the bits of middles that run from a random place in a line to its end, with the suffix in view.

![loss](loss.png)
"""

AGAIN = """## How to make it again

```sh
mkdir wheels && cp benchmarks/embedded/fetch.lock wheels/
starloom data fetch benchmarks/embedded/packages.txt --out wheels
starloom data build wheels/*.whl --languages Python --vocab-size 8192 --keep-going \\
    --validation-list benchmarks/embedded/held-out.txt --out DATA
starloom train embedded --set data=DATA --out FLAT                             # set start= to go on from a model
starloom train embedded-decay --set data=DATA --set start=FLAT/checkpoints/step-N --set steps=M --out RUN
python benchmarks/embedded_pack.py model --run RUN
```

Settings of the runs, one after the other:
"""


def _facts(last: Point, hours: float) -> str:
    shape = StarCoder2.open(EMBEDDED / NAME).config
    heads = f"{shape.num_attention_heads} ({shape.num_key_value_heads})"
    rows = [
        ["parameters", f"{shape.num_parameters:,}"],
        ["layers, hidden, heads (key-value)", f"{shape.num_hidden_layers}, {shape.hidden_size}, {heads}"],
        ["vocabulary, positions", f"{shape.vocab_size:,}, {shape.max_position_embeddings:,}"],
        ["tokens trained on", f"{last.tokens:,}"],
        ["hours of training", f"{hours:.1f}"],
    ]
    held_out = [[f"held out, bits a byte, {name}", f"{last.values[f'held_out_{name}']:.3f}"] for name in ("plain", "psm", "spm")]
    return table(["what", "value"], rows + held_out)


def _outlook(line: Line | None, count: int) -> str:
    if line is None:
        return "What more training would give can be said after a second decay.\n"
    return (
        f"Over {count} decayed models, left to right, the held-out bits a byte fall by {line.gain:.3f} with each doubling of the "
        f"tokens: {line.bits:.3f} after {line.tokens / 1e6:.0f} M, so about {line.at(2 * line.tokens):.3f} after twice as many. "
        + ("Two points make a line, not a law.\n" if count == 2 else "\n")
    )


def _settings(history: list[Run]) -> list[str]:
    return [f"{run.tokens:,} tokens, {run.hours:.1f} hours:\n\n```json\n{json.dumps(run.settings)}\n```\n" for run in history]


def data_card(report: dict[str, Any]) -> str:
    kept, tokens = report["kept"], report["tokens"]
    used = sorted((row for row in report["repositories"] if row["kept"]), key=lambda row: row["repository"].lower())
    drops = sorted(report["dropped"].items(), key=lambda item: -item[1]["files"])
    return "\n".join(
        [
            "# The embedded model's data\n",
            "Python files of packages on PyPI whose licences are all permissive (`starloom data build`, policy "
            f"`{report['licence_policy']}`); a file with any other or an unknown licence is left out. "
            "Exact and near duplicates are gone. Whole repositories are held out for validation.\n",
            table(
                ["part", "files", "MB", "tokens"],
                [
                    [part, f"{kept[part]['files']:,}", f"{kept[part]['bytes'] / 1e6:.0f}", f"{tokens[part]['tokens']:,}"]
                    for part in ("train", "validation")
                ],
            ),
            "Left out, with the reason:\n",
            table(["reason", "files", "MB"], [[name, f"{row['files']:,}", f"{row['bytes'] / 1e6:.1f}"] for name, row in drops]),
            f"## Packages ({len(used)})\n",
            table(
                ["package", "version", "licence", "MB kept", "part"],
                [
                    [
                        row["repository"],
                        str(row["version"]),
                        " AND ".join(sorted(set(str(row["licence"]).split(" AND ")))),
                        f"{row['kept_bytes'] / 1e6:.1f}",
                        row["split"],
                    ]
                    for row in used
                ],
            ),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("model").add_argument("--run", type=Path, required=True)
    cards = commands.add_parser("cards")
    cards.add_argument("--data", type=Path, required=True)
    cards.add_argument("--runs", type=Path, nargs="+", required=True)
    cards.add_argument("--anew", action="store_true", help="the first run began with random weights, not with the model before")
    cards.add_argument("--evaluation", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.command == "model":
        pack(arguments.run)
        return
    write_text(EMBEDDED / "DATA_CARD.md", data_card(json.loads((arguments.data / "report.json").read_text())))
    history = extended([] if arguments.anew else read_history(), arguments.runs)
    write_text(HISTORY, json.dumps({"runs": [run._asdict() for run in history]}) + "\n")
    write_text(EMBEDDED / "MODEL_CARD.md", model_card(history, arguments.evaluation.read_text()))


if __name__ == "__main__":
    main()
