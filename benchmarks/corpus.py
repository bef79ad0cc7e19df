"""A real run of the data pipeline: packages by name, a run that is killed on the way, what it found, and how it scales.

    starloom data fetch benchmarks/corpus/names.txt --out packages
    python benchmarks/corpus.py run packages out --benchmarks FOLDER --kill STEP:PARTS ...   # --kill may be repeated
    python benchmarks/corpus.py run packages unbroken --benchmarks FOLDER                    # the same, left alone
    python benchmarks/corpus.py sizes packages scratch                                       # once, twice, four times the input
    python benchmarks/corpus.py record out unbroken --docs docs/corpus [--record NAME]
    python benchmarks/corpus.py record-sizes scratch [--record NAME]

`run` and `sizes` leave what they measured beside their output (`measured.json`), and `sizes` does not measure again what has one;
the others read it and compute nothing anew.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from corpus_copies import SIZES, write_copies
from corpus_record import MEASURED, write_record
from corpus_sizes import LEFT_OUT, write_sizes

from starloom.core.files import write_text
from starloom.data.fetch import LOCK_FILE, read_lock

SHARD_BYTES = 64 * 2**20
_LOOKS_A_SECOND = 4


def packages(folder: Path) -> list[str]:
    """The files that stand for the packages of a fetch."""
    return sorted(str(folder / locked.file) for locked in read_lock(folder / LOCK_FILE).values())


def command(sources: Sequence[str], out: Path, workers: int, changes: Sequence[str]) -> list[str]:
    """What runs the pipeline over `sources`."""
    settings = [word for change in (f"shard_bytes={SHARD_BYTES}", *changes) for word in ("--set", change)]
    options = ["--out", str(out), "--workers", str(workers), *settings]
    return [sys.executable, "-m", "starloom", "data", "run", "permissive", *sources, *options]


def processes(group: int) -> Iterator[tuple[str, int, int]]:
    """What each process of a group is, its memory now and its largest, in kB."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(place.name)) != group:
                continue
            words = (place / "cmdline").read_bytes().decode().split("\0")
            lines = (line.split() for line in (place / "status").read_text().splitlines())
            status = {words[0]: int(words[1]) for words in lines if words and words[0] in ("VmRSS:", "VmHWM:")}
        except (OSError, ValueError):
            continue
        name = next((word.rpartition(".")[2] for word in words if word.startswith("starloom.")), "run")
        if status:
            yield name, status["VmRSS:"], status["VmHWM:"]


def watch(arguments: list[str], out: Path, kill: str | None) -> dict[str, Any]:
    """Run to the end, or kill the whole group with no warning when `STEP:PARTS` of `kill` are done."""
    step, _, parts = (kill or ":0").partition(":")
    begun, together, largest = time.perf_counter(), 0, Counter[str]()
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        while process.poll() is None:
            found = list(processes(process.pid))
            together = max(together, sum(now for _, now, _ in found))
            for name, _, most in found:
                largest[name] = max(largest[name], most)
            if kill and len(list((out / step).glob("*.done"))) >= int(parts):
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            time.sleep(1 / _LOOKS_A_SECOND)
        said = process.stdout.read() if process.stdout else ""
    return {
        "killed": kill,
        "code": process.returncode,
        "seconds": round(time.perf_counter() - begun, 1),
        "said": json.loads(said) if said.startswith("{") else None,
        "peak MB": {name: round(size / 1024) for name, size in largest.items()} | {"all together": round(together / 1024)},
        "done": sum(1 for _ in out.glob("*/*.done")),
    }


def run(arguments: argparse.Namespace) -> None:
    """Start, kill, start again, to the end."""
    changes = [f"benchmarks={json.dumps(arguments.benchmarks)}"] if arguments.benchmarks else []
    words = command(packages(arguments.packages), arguments.out, arguments.workers, changes)
    starts = []
    for kill in (*arguments.kill, None):
        starts.append(watch(words, arguments.out, kill))
        print(json.dumps(starts[-1]), flush=True)
    write_text(arguments.out / MEASURED, json.dumps(starts, indent=1) + "\n")


def sizes(arguments: argparse.Namespace) -> None:
    """The packages as they are, and with copies that are other code; a run over so many of these as `SIZES` says."""
    folder, originals = arguments.scratch / "copies", [Path(package) for package in packages(arguments.packages)]
    folder.mkdir(parents=True, exist_ok=True)
    places = list(map(str, write_copies(originals, folder, max(SIZES))))
    for size in SIZES:
        out = arguments.scratch / f"out-{size}"
        if (out / MEASURED).exists():
            continue
        measured = watch(command(places[: size * len(originals)], out, arguments.workers, LEFT_OUT), out, None)
        print(size, json.dumps(measured), flush=True)
        write_text(out / MEASURED, json.dumps([measured], indent=1) + "\n")


def main() -> None:
    """Parse and do."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    running = commands.add_parser("run")
    running.add_argument("packages", type=Path)
    running.add_argument("out", type=Path)
    running.add_argument("--benchmarks", nargs="*", default=[])
    running.add_argument("--kill", action="append", default=[], metavar="STEP:PARTS")
    running.set_defaults(do=run)
    sizing = commands.add_parser("sizes")
    sizing.add_argument("packages", type=Path)
    sizing.add_argument("scratch", type=Path)
    sizing.set_defaults(do=sizes)
    for part in (running, sizing):
        part.add_argument("--workers", type=int, default=2)
    recording = commands.add_parser("record")
    recording.add_argument("out", type=Path)
    recording.add_argument("unbroken", type=Path)
    recording.add_argument("--docs", type=Path, required=True)
    recording.set_defaults(do=lambda given: write_record(given.out, given.unbroken, given.docs, given.record))
    recording_sizes = commands.add_parser("record-sizes")
    recording_sizes.add_argument("scratch", type=Path)
    recording_sizes.set_defaults(do=lambda given: write_sizes(given.scratch, given.record))
    for part in (recording, recording_sizes):
        part.add_argument("--record")
    arguments = parser.parse_args()
    arguments.do(arguments)


if __name__ == "__main__":
    main()
