# ruff: noqa: E501
"""Decontamination, malware and opt-out over real files: hits, and throughput per core.

    python benchmarks/protection.py FOLDER_OF_WHEELS --benchmarks PATH [--benchmarks PATH ...] [--files 20000] [--record NAME]

Contamination is planted: every task's text as it is, with comment marks before its lines, and with its names changed, in the
middle of a real file. The real files themselves are the negatives (of malware too: what the rules drop there is a false alarm until
somebody finds otherwise).
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import record

from starloom.data.decontamination import Index
from starloom.data.malware import RuleScanner, scan
from starloom.data.opt_out import OptOut
from starloom.data.purge import purge

NAMES = re.compile(r"\b[a-z_][a-z_0-9]{1,20}\b")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheels", type=Path)
    parser.add_argument("--benchmarks", type=Path, action="append", required=True)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--record")
    options = parser.parse_args()
    known = record.facts()
    files = list(real_files(options.wheels, options.files))
    values = {
        "facts": known,
        "files": len(files),
        "megabytes": sum(len(data) for _, data in files) / 1e6,
        "decontamination": decontamination(files, options.benchmarks),
        "malware": malware(files),
        "purge": purging(files),
    }
    record.write(options.record, values, report(values))


def real_files(wheels: Path, most: int) -> Iterator[tuple[str, bytes]]:
    """Text files of wheels, as many from each."""
    paths = sorted(wheels.glob("*.whl"))
    for path in paths:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir() and entry.file_size < 1_000_000]
            random.Random(path.name).shuffle(entries)
            for entry in entries[: most // len(paths)]:
                data = archive.read(entry)
                if b"\0" not in data:
                    yield f"{path.name.split('-')[0]}/{entry.filename}", data


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def decontamination(files: list[tuple[str, bytes]], benchmarks: list[Path]) -> dict[str, Any]:
    index, building = timed(lambda: Index.of(benchmarks))
    texts = [data.decode(errors="replace") for _, data in files]
    hits, seconds = timed(lambda: [index.find(text) for text in texts])
    found = [[name, hit.task, hit.test, hit.share] for (name, _), hit in zip(files, hits, strict=True) if hit]
    draw = random.Random(0)
    tasks = draw.sample(list(_tasks(benchmarks)), 1500)
    hosts = draw.sample([text for text in texts if 500 < len(text) < 20_000], len(tasks))
    planted = {}
    for name, change in CHANGES.items():
        mixed = [
            host[: len(host) // 2] + "\n" + change(task) + "\n" + host[len(host) // 2 :]
            for host, task in zip(hosts, tasks, strict=True)
        ]
        planted[name] = sum(index.find(text) is not None for text in mixed) / len(tasks)
    return {
        "tasks": len(index),
        "building_seconds": building,
        "hits": found,
        "seconds": seconds,
        "planted": planted,
        "num_planted": len(tasks),
    }


def _tasks(benchmarks: list[Path]) -> Iterator[str]:
    for folder in benchmarks:
        for path in sorted(folder.rglob("*.jsonl.gz")) if folder.is_dir() else []:
            for line in gzip.decompress(path.read_bytes()).splitlines():
                values = json.loads(line)
                body = values.get("canonical_solution") or values.get("code")
                if body and "suffix" not in values:
                    yield values.get("prompt", "") + body


def _renamed(text: str, names: int = 3) -> str:
    for number, (name, _) in enumerate(Counter(NAMES.findall(text)).most_common(names)):
        text = re.sub(rf"\b{name}\b", f"changed{number}", text)
    return text


CHANGES: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "white space and case changed": lambda text: re.sub(r"\s+", " \n\t", text).upper(),
    "comment marks before lines": lambda text: "".join(f"// {line}\n" for line in text.splitlines()),
    "a word in each tenth line added": lambda text: "\n".join(
        line + " extra" * (i % 10 == 9) for i, line in enumerate(text.splitlines())
    ),
    "three most frequent names changed": _renamed,
    "all names changed": lambda text: _renamed(text, 10_000),
}


def malware(files: list[tuple[str, bytes]]) -> dict[str, Any]:
    scanner = RuleScanner()
    verdicts, seconds = timed(lambda: [scan(data, [scanner]) for _, data in files])
    named = [(name, verdict) for (name, _), verdict in zip(files, verdicts, strict=True) if verdict.hits]
    return {
        "dropped": [[name, verdict.detail] for name, verdict in named if verdict.drop],
        "noted": [[name, verdict.detail] for name, verdict in named if not verdict.drop],
        "seconds": seconds,
    }


def purging(files: list[tuple[str, bytes]]) -> dict[str, Any]:
    """A purge of one owner in ten from all files as documents of 200 owners."""
    with tempfile.TemporaryDirectory() as folder:
        rows = {
            "repository": [f"owner{i % 200}/r" for i in range(len(files))],
            "text": [data.decode(errors="replace") for _, data in files],
        }
        pq.write_table(pa.table(rows), Path(folder) / "x.parquet", row_group_size=2000, compression="zstd")
        gone = OptOut(owners=frozenset(f"owner{i}" for i in range(0, 200, 10)))
        report, seconds = timed(lambda: purge(Path(folder), gone))
    return {"read": report.read, "removed": report.removed, "seconds": seconds}


def report(values: dict[str, Any]) -> str:
    decontaminated, scanned, purged = values["decontamination"], values["malware"], values["purge"]
    head = record.heading(
        "Decontamination, malware, opt-out", values["facts"],
        f"{values['files']:,} text files ({values['megabytes']:.0f} MB) of PyPI wheels. Processor time, one core.",
    )  # fmt: skip
    rows = [[name, f"{values['files'] / part['seconds']:,.0f}", f"{values['megabytes'] / part['seconds']:.1f}"]
            for name, part in (("decontamination", decontaminated), ("malware rules", scanned), ("purge", purged))]  # fmt: skip
    parts = [head, record.table(["", "files/s", "MB/s"], rows), ""]
    parts.append(f"Decontamination: {decontaminated['tasks']:,} tasks, indexed in {decontaminated['building_seconds']:.1f} s. Real files hit: "
                 f"{len(decontaminated['hits'])}. Found of {decontaminated['num_planted']:,} tasks planted into real files:")  # fmt: skip
    parts += [
        "",
        record.table(["change", "found"], [[name, f"{share:.3f}"] for name, share in decontaminated["planted"].items()]),
        "",
    ]
    parts += [f"- `{name}`: {task} ({test}, {share})" for name, task, test, share in decontaminated["hits"]]
    share = len(scanned["noted"]) / values["files"]
    parts.append(
        f"\nMalware rules over the same files, taken as benign: {len(scanned['dropped'])} would be dropped, {len(scanned['noted'])} noted ({share:.2%})."
    )
    parts += ["", *(f"- dropped: `{name}`: {detail}" for name, detail in scanned["dropped"]),
              *(f"- noted: `{name}`: {detail}" for name, detail in scanned["noted"])]  # fmt: skip
    parts.append(f"\nPurge: {purged['removed']:,} of {purged['read']:,} documents removed, the rest rewritten.")
    return "\n".join(parts)


if __name__ == "__main__":
    main()
