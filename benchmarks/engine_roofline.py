"""Draw a record of `engine_peers.py` under the machine's roofs.

    python benchmarks/engine_roofline.py RECORD.json [OUT.png]        (docs/engine-roofline.png when left out)

A roofline: to the left speed is bound by reading weights, to the right by arithmetic. A decoded token does few operations for
each byte, a prompt many. Both roofs were measured before each run; the band is their spread.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")

from matplotlib import pyplot

OUT = Path(__file__).parent.parent / "docs" / "engine-roofline.png"
CHUNK = 512
COLOURS = ("#c1440e", "#3b6ea5", "#5a8f5a", "#8a6fa8")


def points(record: dict[str, Any]) -> dict[str, list[tuple[str, float, float]]]:
    """For each system (what, operations a byte, operations a second), medians of the rounds."""
    rounds = record["rounds"]
    ours = next(iter(rounds[0].values()))
    operations, num_bytes = ours["operations_per_token"], ours["bytes_per_token"]
    found: dict[str, list[tuple[str, float, float]]] = {}
    for system in rounds[0]:
        for name in (name for name in rounds[0][system] if name.startswith(("prefill", "decode"))):
            rate = statistics.median(one[system][name] for one in rounds)
            rows = min(CHUNK, int(name.split("_")[1])) if name.startswith("prefill") else 1
            found.setdefault(system, []).append((name.replace("_", " "), rows * operations / num_bytes, rate * operations))
    return found


def draw(record: dict[str, Any], out: Path) -> None:
    """Write the picture."""
    limits = [one[system] for one in record["rounds"] for system in one]
    bandwidth = [limit["machine_read_bandwidth"] for limit in limits]
    peak = [limit["machine_int8_peak"] for limit in limits]
    intensity = np.geomspace(1, 1e4, 200)
    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")

    def roof(choose: Any) -> Any:
        return np.minimum(intensity * choose(bandwidth), choose(peak))

    axes.plot(intensity, roof(statistics.median), color="black", label="measured limits")
    axes.fill_between(intensity, roof(min), roof(max), color="black", alpha=0.1, linewidth=0)
    for colour, (system, found) in zip(COLOURS, points(record).items(), strict=False):
        axes.scatter([x for _, x, _ in found], [y for _, _, y in found], color=colour, label=system, zorder=3)
        if system == next(iter(record["rounds"][0])):
            for name, x, y in found:
                axes.annotate(name, (x, y), textcoords="offset points", xytext=(6, -10), fontsize=8)
    axes.set(xscale="log", yscale="log", xlabel="operations for each byte of weights", ylabel="operations a second")
    axes.grid(which="major", alpha=0.3)
    axes.legend(loc="lower center")
    figure.savefig(out, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("record", type=Path)
    parser.add_argument("out", type=Path, nargs="?", default=OUT)
    arguments = parser.parse_args()
    draw(json.loads(arguments.record.read_text()), arguments.out)
    print(f"written: {arguments.out}")


if __name__ == "__main__":
    main()
