"""How often `starloom.redaction` is right on real files, by findings that somebody read and labelled.

    python benchmarks/redaction_labels.py FOLDER_OF_WHEELS [--show] [--record NAME]

A label is a line of `redaction/labels.jsonl`: the finding's name (a hash of its package, file, kind and value), whether
it has the form of its kind, and what it is when it has not. `--show` prints the drawn findings without a label, to be read.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import record

from starloom.redaction import Finding, Kind, find

LABELS = Path(__file__).parent / "redaction" / "labels.jsonl"
TELLING = re.compile(r"passw|secret|token|_key|pwd|-----BEGIN|\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}", re.IGNORECASE)
FILES_A_WHEEL, FINDINGS_A_WHEEL, FINDINGS_A_KIND = 120, 4, 30
MAX_SIZE = 100_000


@dataclass(frozen=True)
class Drawn:
    """A finding, its name and the text around it."""

    name: str
    finding: Finding
    around: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheels", type=Path)
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--record")
    options = parser.parse_args()
    known = record.facts()
    labels = {each["finding"]: each for each in map(json.loads, LABELS.read_text().splitlines())} if LABELS.exists() else {}
    texts = list(real_texts(options.wheels))
    drawn = draw(texts)
    if options.show:
        for each in drawn:
            if each.name not in labels:
                print(each.name, each.finding.kind, each.finding.rule, repr(each.around), "->", repr(each.finding.value[:60]))
        return
    values = {
        "facts": known,
        "files": len(texts),
        "megabytes": sum(len(text) for _, _, text in texts) / 1e6,
        "kinds": counts(drawn, labels),
    }
    record.write(options.record, values, report(values))


def real_texts(wheels: Path) -> Iterator[tuple[str, str, str]]:
    """(package, path, text) of files that hold a telling word, some of every wheel."""
    for path in sorted(wheels.glob("*.whl")):
        package = path.name.split("-")[0]
        with zipfile.ZipFile(path) as archive:
            entries = [
                entry for entry in archive.infolist() if entry.file_size < MAX_SIZE and not entry.filename.endswith("RECORD")
            ]
            random.Random(package).shuffle(entries)
            taken = 0
            for entry in entries:
                text = archive.read(entry).decode(errors="replace")
                if taken < FILES_A_WHEEL and "\0" not in text and TELLING.search(text):
                    taken += 1
                    yield package, entry.filename, text


def draw(texts: list[tuple[str, str, str]]) -> list[Drawn]:
    """A few findings of each kind from each wheel: those whose hashes come first, so the draw outlives most changes."""
    by_wheel: dict[tuple[str, Kind], dict[str, Drawn]] = defaultdict(dict)
    for package, path, text in texts:
        for each in find(text):
            name = hashlib.sha256("\n".join((package, path, each.kind, each.value)).encode()).hexdigest()[:16]
            around = text[max(0, each.start - 70) : each.end + 20]
            by_wheel[package, each.kind].setdefault(each.value, Drawn(name, each, around))
    few = [
        each for found in by_wheel.values() for each in sorted(found.values(), key=lambda drawn: drawn.name)[:FINDINGS_A_WHEEL]
    ]
    few.sort(key=lambda drawn: drawn.name)
    return [each for kind in Kind for each in [one for one in few if one.finding.kind is kind][:FINDINGS_A_KIND]]


def counts(drawn: list[Drawn], labels: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    kinds: dict[str, dict[str, Any]] = {}
    for kind in Kind:
        found = [labels.get(each.name) for each in drawn if each.finding.kind is kind]
        labelled = [each for each in found if each]
        kinds[kind] = {"drawn": len(found), "labelled": len(labelled), "right": sum(each["right"] for each in labelled),
                       "false": Counter(each["what"] for each in labelled if not each["right"])}  # fmt: skip
    return kinds


def report(values: dict[str, Any]) -> str:
    """The record in Markdown."""
    notes = (
        f"{values['files']:,} files ({values['megabytes']:.0f} MB) of wheels that hold a telling word, at most {FILES_A_WHEEL} "
        f"a wheel; at most {FINDINGS_A_WHEEL} findings of a kind from a wheel, {FINDINGS_A_KIND} of a kind.",
        "Each was read with the text around it and labelled by a language model that wrote rules too, so not independently. "
        "Right is what has the form of the thing, in tests and manuals too.",
    )
    rows = []
    for kind, each in values["kinds"].items():
        false = ", ".join(f"{what} ({count})" for what, count in each["false"].items()) or "-"
        rows.append(
            [
                kind,
                str(each["drawn"]),
                str(each["labelled"]),
                str(each["right"]),
                f"{each['right'] / max(each['labelled'], 1):.2f}",
                false,
            ]
        )
    columns = ["kind", "drawn", "labelled", "right", "precision", "false alarms"]
    return "\n".join([record.heading("Findings on real files, labelled", values["facts"], *notes), record.table(columns, rows)])


if __name__ == "__main__":
    main()
