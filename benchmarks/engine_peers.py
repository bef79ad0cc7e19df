"""The engine beside llama.cpp and OpenVINO GenAI on the same random weights: prefill, decode, memory; in interleaved rounds.

    python benchmarks/peers/build_llama.py PEERS/llama
    python benchmarks/peers/build_openvino.py environment PEERS/venv-openvino
    python benchmarks/engine_peers.py PEERS --shape 3b --type q4_0 --rounds 5 [--openvino] [--record engine-q4]

Models are written below PEERS when they are not there (3B: 1.7 GB in 4 bits, 3.2 GB in 8; --openvino exports from a bf16 model
of 6 GB, once). Every system runs in its own processes, one after the other, in an order that turns with each round, and the
machine's own loops run before each. Ratios are taken within a round, then their median: the machine drifts, they do not.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

import record
from calibration import calibrate
from peers import build_openvino, random_gguf
from peers.systems import LlamaCpp, OpenVino, Starloom, System

from starloom.contract.presets import PRESETS, preset

Round = dict[str, dict[str, float]]


def systems(folder: Path, shape: str, type_: str, openvino: bool) -> list[System]:
    """Ours first; models are made where they are missing."""
    models = folder / "models"
    model = models / f"{shape}-{type_}.gguf"
    if not model.is_file():
        random_gguf.write_gguf(preset(shape), model, type_, seed=0)
    found: list[System] = [Starloom(model), LlamaCpp(folder / "llama", model)]
    if openvino:
        found += [OpenVino(folder / "venv-openvino", path, f"OpenVINO {path.name}") for path in _exported(folder, shape)]
    return found


def _exported(folder: Path, shape: str) -> list[Path]:
    out = folder / "models" / f"{shape}-openvino"
    formats = list(build_openvino.FORMATS)
    if not all((out / name / "openvino_model.bin").is_file() for name in formats):
        source = folder / "models" / f"{shape}-bf16"
        if not source.is_dir():
            random_gguf.write_directory(preset(shape), source, seed=0)
        build_openvino.export(folder / "venv-openvino", source, out, formats)
    return [out / name for name in formats]


def measure(all_systems: list[System], rounds: int, threads: int, depth: int) -> list[Round]:
    """Every system once a round."""
    found = []
    for number in range(rounds):
        turned = all_systems[number % len(all_systems) :] + all_systems[: number % len(all_systems)]
        one: Round = {}
        for system in turned:
            limits = calibrate(threads)
            one[system.name] = system.measure(threads, depth) | {f"machine_{name}": value for name, value in limits.items()}
            print(f"round {number + 1}: {system.name} {_short(one[system.name])}", file=sys.stderr, flush=True)
        found.append({system.name: one[system.name] for system in all_systems})
    return found


def _short(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in values.items())


def rates(rounds: list[Round]) -> list[str]:
    """The names of the speeds that our engine and a peer have."""
    ours, *others = rounds[0].values()
    return [name for name in ours if name.startswith(("prefill", "decode")) and any(name in other for other in others)]


def ratios(rounds: list[Round], name: str, peer: str) -> list[float]:
    """Ours over the peer's, in each round."""
    ours = next(iter(rounds[0]))
    return [one[ours][name] / one[peer][name] for one in rounds if name in one[peer]]


def markdown(known: dict[str, Any], title: str, rounds: list[Round]) -> str:
    """The record for people."""
    names, (ours, *others) = rates(rounds), list(rounds[0])
    rows = []
    for system in (ours, *others):
        cells = [record.spread([one[system][name] for one in rounds], 1) if name in rounds[0][system] else "-" for name in names]
        memory = statistics.median(one[system]["peak_rss_bytes"] for one in rounds) / 2**30
        rows.append([system, *cells, f"{memory:.2f}"])
    for peer in others:
        cells = [f"{record.spread(ratios(rounds, name, peer), 2)}x" if name in rounds[0][peer] else "-" for name in names]
        rows.append([f"**ours / {peer}**", *cells, ""])
    limits = [one[system] for one in rounds for system in one]
    notes = [
        f"Read bandwidth {record.spread([one['machine_read_bandwidth'] / 1e9 for one in limits], 1)} GB/s, "
        f"8-bit peak {record.spread([one['machine_int8_peak'] / 1e12 for one in limits], 2)} TOP/s, measured before each run.",
        "Of these our engine uses, each measured beside what it bounds: "
        f"decoding {_percent(rounds, ours, 'read_bandwidth_share')}, prompts {_percent(rounds, ours, 'int8_peak_share')}.",
        "Tokens a second: median (least-greatest) of the rounds.",
    ]
    columns = ["system", *(name.replace("_", " ") for name in names), "GiB"]
    return record.heading(title, known, *notes) + "\n" + record.table(columns, rows)


def _percent(rounds: list[Round], system: str, name: str) -> str:
    return f"{record.spread([100 * one[system][name] for one in rounds])} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="PEERS")
    parser.add_argument("--shape", default="3b", choices=sorted(PRESETS))
    parser.add_argument("--type", default="q4_0", choices=sorted(random_gguf.TYPES))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--depth", type=int, default=2048, help="positions before the deep decoding; 15000 takes minutes a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--openvino", action="store_true", help="measure OpenVINO's int8 and int4 as well")
    parser.add_argument("--record", help="write records/DATE-NAME.json and .md")
    arguments = parser.parse_args()
    known = record.facts()
    try:
        all_systems = systems(arguments.folder.absolute(), arguments.shape, arguments.type, arguments.openvino)
        rounds = measure(all_systems, arguments.rounds, arguments.threads, arguments.depth)
    except (OSError, RuntimeError) as error:
        sys.exit(f"engine_peers: {error}")
    title = f"The engine beside its peers: {arguments.shape}, {arguments.type}, {arguments.threads} threads"
    record.write(arguments.record, {"facts": known, "rounds": rounds}, markdown(known, title, rounds))


if __name__ == "__main__":
    main()
