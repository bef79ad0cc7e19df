# ruff: noqa: E501
"""How much personal data and how many secrets `starloom.redaction` finds, and what it takes for one, on a planted bench.

    python benchmarks/redaction.py FOLDER_OF_WHEELS [--peer NAME PYTHON] [--record NAME]

Two sets (`redaction_texts.py`), each of secrets planted into real files and of look-alikes: the first is what the rules were made with, the
second says itself whether it is held out (`redaction_shapes.STATE`). `--letters FILE` writes the table of the gibberish test instead.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import record
import redaction_shapes
from redaction_texts import Text, first_set, real_files, second_set

from starloom.core.files import write_text
from starloom.redaction import Kind, find

KINDS = {"email": Kind.EMAIL, "ipv4": Kind.IP_ADDRESS, "ipv6": Kind.IP_ADDRESS, "name": Kind.NAME, "password": Kind.PASSWORD,
         "weak password": Kind.PASSWORD, "url password": Kind.PASSWORD}  # fmt: skip
"""The kind that a planted thing should be called; all others are keys."""
SETS = {"first": first_set, "second": second_set}


@dataclass(frozen=True)
class Span:
    """A finding of any scanner."""

    start: int
    end: int
    kind: str | None = None


def main() -> None:
    options = _options()
    if options.letters:
        write_text(options.letters, letters(options.wheels))
        return
    known = record.facts()
    scanners: dict[str, Callable[[list[Text]], tuple[list[list[Span]], float]]] = {
        "starloom": partial(ours, betterleaks=True),
        "starloom, own rules alone": partial(ours, betterleaks=False),
    }
    for name, python in options.peer:
        scanners[name] = partial(theirs, name=name, python=python)
    values: dict[str, Any] = {"facts": known, "state of the second set": redaction_shapes.STATE, "sets": {}}
    for name, build in SETS.items():
        texts = build(options.wheels)
        values["sets"][name] = {
            "texts": len(texts),
            "negatives": Counter(kind for text in texts for kind, _, _ in text.negatives),
            "results": {scanner: measured(texts, scan) for scanner, scan in scanners.items()},
        }
        if options.show:
            show(texts, ours(texts, betterleaks=True)[0], options.show)
    record.write(options.record, values, report(values))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheels", type=Path)
    parser.add_argument(
        "--peer", nargs=2, action="append", default=[], metavar=("NAME", "PYTHON"), help="detect-secrets or credsweeper"
    )
    parser.add_argument("--record")
    parser.add_argument("--letters", type=Path)
    parser.add_argument("--show", type=int, default=0, help="print that many misses and false alarms a kind")
    return parser.parse_args()


def ours(texts: list[Text], *, betterleaks: bool) -> tuple[list[list[Span]], float]:
    find("warm up", betterleaks=betterleaks)
    start = time.process_time()
    found = [find(each.text, betterleaks=betterleaks) for each in texts]
    seconds = time.process_time() - start
    return [[Span(each.start, each.end, each.kind) for each in spans] for spans in found], seconds


def theirs(texts: list[Text], name: str, python: str) -> tuple[list[list[Span]], float]:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "texts.jsonl", Path(folder) / "spans.jsonl"
        source.write_text("".join(json.dumps({"name": each.name, "text": each.text}) + "\n" for each in texts))
        script = Path(__file__).parent / "peers" / "secret_scanners.py"
        subprocess.run([python, script, name, source, target], check=True, stdout=sys.stderr)
        *spans, seconds = (json.loads(line) for line in target.read_text().splitlines())
    return [[Span(*each) for each in found] for found in spans], seconds


def measured(texts: list[Text], scan: Callable[[list[Text]], tuple[list[list[Span]], float]]) -> dict[str, Any]:
    """Counts by planted kind and by negative kind."""
    spans, seconds = scan(texts)
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    alarms, alarms_as, other = Counter[str](), Counter[str](), Counter[str]()
    for text, found in zip(texts, spans, strict=True):
        for kind, start, end in text.planted:
            kinds[kind].update(_scored(kind, start, end, found))
        for kind, start, end in text.negatives:
            hits = [each for each in found if each.start < end and start < each.end]
            alarms[kind] += bool(hits)
            alarms_as.update({str(each.kind) for each in hits})
        marked = [*text.planted, *text.negatives]
        other.update(
            str(each.kind) for each in found if not any(each.start < end and start < each.end for _, start, end in marked)
        )
    size = sum(len(each.text.encode()) for each in texts)
    return {"kinds": {kind: dict(counts) for kind, counts in sorted(kinds.items())}, "alarms": dict(alarms), "alarms_as": dict(alarms_as),
            "other": dict(other), "seconds": seconds, "mb_per_s": size / 1e6 / seconds, "files_per_s": len(texts) / seconds}  # fmt: skip


def _scored(kind: str, start: int, end: int, found: Sequence[Span]) -> dict[str, int]:
    covered = set[int]()
    for each in found:
        covered.update(range(max(start, each.start), min(end, each.end)))
    overlap = max((min(end, each.end) - max(start, each.start) for each in found), default=0)
    right = KINDS.get(kind, Kind.KEY)
    touching = [each for each in found if each.start < end and start < each.end]
    return {
        "planted": 1,
        "exact": any((each.start, each.end) == (start, end) for each in touching),
        "half": overlap * 2 >= end - start,
        "kind": any(each.kind == right or {each.kind, right} == {Kind.KEY, Kind.PASSWORD} for each in touching),
        "characters": end - start,
        "leaked": end - start - len(covered),
        "excess": sum(max(0, start - each.start) + max(0, each.end - end) for each in touching),
    }


def report(values: dict[str, Any]) -> str:
    """The record in Markdown."""
    notes = [
        "The first set: templates and look-alikes in real files by which the rules were made. "
        f"The second set: {len(redaction_shapes.POSITIVES)} shapes of secrets, {len(redaction_shapes.NEGATIVES)} of look-alikes; {redaction_shapes.STATE}.",
        "Recall counts a planted span with half of it or more in one finding; exact: the very span. Precision: planted things found, against "
        "those and the look-alikes that were touched; it depends on how many of each are planted. Leaked: characters of planted things that "
        "redaction would leave. Processor time, one core.",
        "A peer looks for keys and passwords alone (detect-secrets names a private key by its head, credsweeper wants one that parses; ours is "
        "random), so compare its recall of those.",
    ]
    parts = [record.heading("Personal data and secrets on a planted bench", values["facts"], *notes)]
    for name, part in values["sets"].items():
        parts += [f"## The {name} set", "", *_set_report(part), ""]
    return "\n".join(parts).rstrip()


def _set_report(part: dict[str, Any]) -> list[str]:
    results, negatives = part["results"], sum(part["negatives"].values())
    ours_ = results["starloom"]
    planted = sum(counts["planted"] for counts in ours_["kinds"].values())
    parts = [
        f"{part['texts']:,} files of PyPI wheels with {planted:,} planted things and {negatives:,} look-alikes.",
        "",
        record.table(["scanner", "recall", "of keys and passwords", "exact", "false alarms", "precision", "F1", "leaked", "MB/s", "files/s"],
                     [_line(name, each, negatives) for name, each in results.items()]),
    ]  # fmt: skip
    rows = []
    for kind, counts in ours_["kinds"].items():
        others = [f"{_share(each['kinds'][kind], 'half'):.3f}" for each in list(results.values())[1:]]
        rows.append([kind, f"{counts['planted']}", f"{_share(counts, 'half'):.3f}", f"{_share(counts, 'exact'):.3f}",
                     f"{counts['leaked'] / counts['characters']:.4f}", *others])  # fmt: skip
    parts += [
        "",
        "Recall by kind:",
        "",
        record.table(["kind", "planted", "starloom", "exact", "leaked", *list(results)[1:]], rows),
    ]
    rows = [[kind, f"{count}", *(f"{each['alarms'].get(kind, 0)}" for each in results.values())] for kind, count in sorted(part["negatives"].items())]  # fmt: skip
    parts += ["", "False alarms by kind of look-alike:", "", record.table(["look-alike", "places", *results], rows)]
    rows = []
    for kind in Kind:
        hits = sum(counts["half"] for name, counts in ours_["kinds"].items() if KINDS.get(name, Kind.KEY) is kind)
        false = ours_["alarms_as"].get(kind, 0)
        rows.append([str(kind), f"{hits}", f"{false}", f"{hits / max(hits + false, 1):.3f}", f"{ours_['other'].get(kind, 0)}"])
    heading = "By the kind that starloom gives (unlabelled: findings in the real files beside all of these, most of them real):"
    return [*parts, "", heading, "", record.table(["kind", "right", "false alarms", "precision", "unlabelled"], rows)]


def _share(counts: dict[str, int], name: str) -> float:
    return counts[name] / counts["planted"]


def _line(name: str, result: dict[str, Any], negatives: int) -> list[str]:
    sums, secrets = Counter[str](), Counter[str]()
    for kind, counts in result["kinds"].items():
        sums.update(counts)
        secrets.update(counts if KINDS.get(kind, Kind.KEY) in (Kind.KEY, Kind.PASSWORD) else {})
    alarms = sum(result["alarms"].values())
    recall, precision = sums["half"] / sums["planted"], sums["half"] / max(sums["half"] + alarms, 1)
    f1 = 2 * recall * precision / max(recall + precision, 1e-9)
    return [name, f"{recall:.3f}", f"{secrets['half'] / secrets['planted']:.3f}", f"{sums['exact'] / sums['planted']:.3f}", f"{alarms} of {negatives:,}", f"{precision:.3f}", f"{f1:.3f}",
            f"{sums['leaked'] / sums['characters']:.2%}", f"{result['mb_per_s']:.1f}", f"{result['files_per_s']:,.0f}"]  # fmt: skip


def show(texts: list[Text], spans: list[list[Span]], most: int) -> None:
    """Print misses and false alarms, for tuning."""
    shown: Counter[str] = Counter()
    for text, found in zip(texts, spans, strict=True):
        for label, places in (("missed", text.planted), ("inexact", text.planted), ("false", text.negatives)):
            for kind, start, end in places:
                hits = [each for each in found if each.start < end and start < each.end]
                exact = any((each.start, each.end) == (start, end) for each in hits)
                wrong = {"missed": not hits, "inexact": bool(hits) and not exact, "false": bool(hits)}[label]
                shown[label + kind] += wrong
                if wrong and shown[label + kind] <= most:
                    around = text.text[max(0, start - 60) : min(len(text.text), end + 20)]
                    print(
                        f"{label:8} {kind:20} {text.text[start:end][:70]!r}  in {around!r} {[text.text[e.start : e.end][:80] for e in hits]}"
                    )
        for each in found:
            marked = [*text.planted, *text.negatives]
            if each.kind in ("KEY", "PASSWORD", "IP_ADDRESS") and not any(
                each.start < end and start < each.end for _, start, end in marked
            ):
                shown["other" + each.kind] += 1
                if shown["other" + each.kind] <= 10 * most:
                    print("unlabelled", each.kind, repr(text.text[max(0, each.start - 50) : each.end + 10]), text.name)
    print({key: count for key, count in shown.items() if count})


def letters(wheels: Path) -> str:
    """The table of `starloom/redaction/letters.json`: steps between characters in identifiers and paths of half 0's packages."""
    from starloom.redaction.plausibility import _class

    words = set[str]()
    for _, text in real_files(wheels, 0, 400):
        words.update(re.findall(r"(?<![\w.+/-])[A-Za-z_][A-Za-z0-9_.\-/:]{5,39}(?![\w+/=-])", text))
    counts = [[0.5] * 54 for _ in range(54)]
    for word in words:
        classes = [_class(character) for character in f" {word} "]
        for a, b in pairwise(classes):
            counts[a][b] += 1
    rows = [json.dumps([round(10 * math.log2(each / sum(row))) for each in row], separators=(",", ":")) for row in counts]
    about = (
        "10 x log2 P(class | class before) over distinct identifiers and paths in public Python packages; 54 classes: a-z, A-Z, "
        "digits, all else; made by benchmarks/redaction.py --letters"
    )
    return f'{{"about": "{about}",\n "log2_times_10": [\n  ' + ",\n  ".join(rows) + "\n]}\n"


if __name__ == "__main__":
    main()
