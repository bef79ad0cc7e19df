"""Duplicates: precision and recall beside brute force on real files with planted edits, and speed beside other programs.

    python benchmarks/duplicates.py plant --out FILES.parquet [--files 20000] [--edits 10000] SOURCE...
    python benchmarks/duplicates.py quality FILES.parquet [--curve PLOT.png] [--record NAME]
    python benchmarks/duplicates.py speed FILES.parquet --peers PYTHON [--texts 5000] [--rounds 3] [--record NAME]

SOURCEs are folders, wheels, zip and tar files; several versions of a package and vendored copies make natural near duplicates.
PYTHON is the interpreter of an environment with `datatrove[processing,io]` 0.10.1, `spacy` and `text-dedup` 0.4.0. Speed counts
processor time of whole programs (Parquet in, kept documents out) less that of the same program on ten texts (its start).
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import record
from brute_force import exact_pairs
from duplicate_quality import HEADS, SCHEMES, Truth, draw_curve, edits_table, measured, quality_tables
from planted_edits import planted

from starloom.core.errors import StarloomError
from starloom.data.duplicates.headers import body_start
from starloom.data.duplicates.near import NearDuplicates

LEAST = 0.3
"""Pairs below this similarity are not looked at."""


def plant(sources: Sequence[Path], out: Path, num_files: int, num_edits: int) -> None:
    table = planted(sources, num_files, num_edits, seed=1)
    pq.write_table(table, out, compression="zstd")
    print(f"{table.num_rows} texts, {table.nbytes / 1e6:.0f} MB: {out}")


def quality(files: Path, curve: Path | None, name: str | None) -> None:
    known = record.facts()
    table = pq.read_table(files)
    texts = table["text"].to_pylist()
    truth = Truth(*exact_pairs(texts, body_start, LEAST), len(texts))
    headed = Truth(*exact_pairs(texts, lambda text: 0, LEAST), len(texts))
    schemes = [measured(texts, truth, *scheme) for scheme in SCHEMES]
    heads = measured(texts, truth, *HEADS)
    if curve:
        draw_curve(schemes, curve)
    edits = edits_table(table, truth, headed, schemes[0], heads)
    summary = {"facts": known, "texts": len(texts), "megabytes": table.nbytes / 1e6, **edits.numbers}
    summary["schemes"] = {scheme.name: scheme.numbers for scheme in (*schemes, heads)}
    notes = (f"{len(texts)} texts, {table.nbytes / 1e6:.0f} MB, {int((np.array(table['origin']) >= 0).sum())} of them planted.",)
    record.write(
        name, summary, record.heading("Near duplicates beside brute force", known, *notes) + quality_tables(schemes, edits)
    )


def ours(files: Path, out: Path) -> None:
    """What the others do: read, find near duplicates, write what stays."""
    table = pq.read_table(files)
    out.mkdir()
    with NearDuplicates(out / "shingles") as duplicates:
        for batch in table["text"].chunks:
            for text in batch:
                duplicates.add(text.as_py())
        survivors = np.array(duplicates.survivors(np.arange(table.num_rows)))
    pq.write_table(table.filter(pa.array(survivors == np.arange(table.num_rows))), out / "kept.parquet", compression="zstd")


def commands(files: Path, peers: Path, out: Path) -> dict[str, list[str]]:
    here = Path(__file__).parent
    datatrove = [str(peers), str(here / "peers/dedup_datatrove.py"), str(files)]
    text_dedup = (
        f"--path parquet --data_files {files} --split train --cache_dir {out}/cache --output {out}/text-dedup --column text"
    )
    settings = "--ngram 5 --min_length 5 --num_perm 250 --b 25 --r 10 --hash_func xxh3 --hash_bits 32 --num_proc 1"
    return {
        "Starloom": [sys.executable, __file__, "ours", str(files), str(out / "ours")],
        "datatrove, its tokeniser (spaCy)": [*datatrove, str(out / "datatrove")],
        "datatrove, a regular expression": [*datatrove, str(out / "datatrove-words"), "--words"],
        "text-dedup": [str(peers), "-m", "text_dedup.minhash", *text_dedup.split(), *settings.split()],
    }


def seconds_of(command: Sequence[str]) -> float:
    """Processor time of a command and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def speed(files: Path, peers: Path, num_texts: int, rounds: int, name: str | None) -> None:
    known = record.facts()
    whole = pq.read_table(files, columns=["text"]).slice(0, num_texts)
    whole = whole.append_column("id", pa.array([str(number) for number in range(whole.num_rows)]))
    megabytes = sum(len(text.as_py().encode()) for text in whole["text"]) / 1e6
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(rounds):
            for part, table in (("ten", whole.slice(0, 10)), ("all", whole)):
                place = Path(folder) / f"{part}-{turn}"
                place.mkdir()
                pq.write_table(table, place / "files.parquet")
                for system, command in commands(place / "files.parquet", peers, place).items():
                    rates.setdefault(f"{part} {system}", []).append(seconds_of(command))
    systems = list(commands(Path(), peers, Path()))
    used = {system: [a - b for a, b in zip(rates[f"all {system}"], rates[f"ten {system}"], strict=True)] for system in systems}
    rows, numbers = [], {}
    for system in systems:
        ratio = [other / own for own, other in zip(used["Starloom"], used[system], strict=True)]
        rate = [megabytes / seconds for seconds in used[system]]
        per_second = [whole.num_rows / seconds for seconds in used[system]]
        start = record.spread(rates[f"ten {system}"], 1)
        rows.append([system, record.spread(rate, 2), record.spread(per_second), record.spread(ratio, 1), start])
        numbers[system] = {"megabytes_per_second": rate, "texts_per_second": per_second, "times_slower": ratio}
    columns = ["system", "MB/s", "texts/s", "Starloom is faster by", "start, s"]
    note = f"{whole.num_rows} texts, {megabytes:.0f} MB, one core: {rounds} rounds; rates are per second of processor."
    notes = (note, "All: 5-grams, 250 permutations; Starloom 35 bands of 7 and the true similarity, the others 25 of 10 without.")
    markdown = record.heading("Near duplicates: speed", known, *notes) + "\n" + record.table(columns, rows)
    record.write(name, {"facts": known, "megabytes": megabytes, "texts": whole.num_rows, "systems": numbers}, markdown)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = arguments.add_subparsers(dest="command", required=True)
    command = commands.add_parser("plant")
    command.add_argument("sources", type=Path, nargs="+")
    command.add_argument("--out", type=Path, required=True)
    command.add_argument("--files", type=int, default=20_000)
    command.add_argument("--edits", type=int, default=10_000)
    command = commands.add_parser("quality")
    command.add_argument("files", type=Path)
    command.add_argument("--curve", type=Path)
    command.add_argument("--record")
    command = commands.add_parser("speed")
    command.add_argument("files", type=Path)
    command.add_argument("--peers", type=Path, required=True)
    command.add_argument("--texts", type=int, default=5000)
    command.add_argument("--rounds", type=int, default=3)
    command.add_argument("--record")
    command = commands.add_parser("ours")
    command.add_argument("files", type=Path)
    command.add_argument("out", type=Path)
    given = vars(arguments.parse_args())
    match given.pop("command"):
        case "plant":
            plant(given["sources"], given["out"], given["files"], given["edits"])
        case "quality":
            quality(given["files"], given["curve"], given["record"])
        case "speed":
            speed(given["files"], given["peers"], given["texts"], given["rounds"], given["record"])
        case _:
            ours(given["files"], given["out"])


if __name__ == "__main__":
    try:
        main()
    except StarloomError as error:
        raise SystemExit(f"error: {error}") from error
