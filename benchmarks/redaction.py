# ruff: noqa: E501
"""How much personal data and how many secrets `starloom.redaction` finds, and what it takes for one, on a planted bench.

    python benchmarks/redaction.py FOLDER_OF_WHEELS [--half 1] [--peer NAME PYTHON] [--record NAME]

Positives are made from templates (`redaction_templates.py`) and planted into real files, three a file. Negatives are places in real
files that look like secrets and are none. Both come in halves: 0 is for tuning, 1 for the figures (templates and packages of one
half are not in the other); 2 is half 1 with assignments that were written last of all. `--letters FILE` writes the table of the gibberish test instead.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import record
from redaction_templates import VALUES, plant

from starloom.core.files import write_text
from starloom.redaction import Kind, find

KINDS = {"email": Kind.EMAIL, "ipv4": Kind.IP_ADDRESS, "ipv6": Kind.IP_ADDRESS, "name": Kind.NAME, "password": Kind.PASSWORD,
         "url password": Kind.PASSWORD}  # fmt: skip
"""The kind that a planted thing should be called; all others are keys."""

NEGATIVES = {
    "hash in hexadecimal": r"(?<=[\"'`:= ])(?:[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{32})(?=[\"'`, \n)]|$)",
    "hash in base64": r"sha256=[\w-]{43}",
    "integrity": r"sha(?:256|384|512)-[A-Za-z0-9+/=]{40,90}",
    "uuid": r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
    "image in base64": r"(?:data:[\w/+.-]+;base64,|\"image/png\": \")[A-Za-z0-9+/=]{60,}",
    "example address": r"[\w.+-]+@[\w.]*example\.(?:com|org|net)",
    "private address": r"\b(?:127\.0\.0\.\d+|192\.168\.\d+\.\d+|10\.\d+\.\d+\.\d+|0\.0\.0\.0|255\.255\.\d+\.\d+|169\.254\.\d+\.\d+)\b",
    "version": r"(?:(?i:version)\W{1,6}|==|>=|\bv)\d+\.\d+\.\d+\.\d+\b",
    "computed password": r"(?i:password|passwd|secret|token|api_key)\s?=\s?(?:self|os|get|settings|config|None|True|request|kwargs)[\w.\[(]*",
    "stand-in": r"(?i:password|secret|token|key)[\"']?\s?[:=]\s?[\"'](?:your|my|<|\$\{|x{3}|changeme|\*{3}|example|password|secret|token|dummy)[^\"'\n]*",
    "identifier": r"(?i:password|secret|token|api_?key|credential)s?[\"']?\]?\s?[:=]\s?[\"'][a-z]+(?:[_.-][a-z]+)+[\"']",
    "not an address": r"@(?:[\w-]+/[\w-]+|2x\.\w+|[a-z_]+\.[a-z_]+\()|git@[\w.]+:",
    "time or scope": r"\b\w+::\w+::\w+|\b\d\d:\d\d:\d\d\b",
    "organisation": r"(?i:copyright)[ (c)\d,-]+[A-Z]\w+(?: \w+)* (?:Inc|LLC|Ltd|Foundation|Authors|Contributors|Corporation|Project|Team)\b",
}  # fmt: skip
_KEYISH = re.compile(r"key|token|secret|passw|signature", re.IGNORECASE)
MAX_SIZE, MIN_SIZE = 20_000, 800
TEXTS = (".py", ".js", ".ts", ".json", ".html", ".css", ".md", ".c", ".h", ".yaml", ".yml", ".toml", ".txt", ".rst", ".sh", ".pyx",
         ".cfg", ".ini", ".xml", ".ipynb", ".java", ".cpp", ".rb", ".lock")  # fmt: skip


@dataclass
class Text:
    """One file of the bench: where what is planted in it, or where what must be left alone."""

    name: str
    text: str
    planted: list[tuple[str, int, int]] = field(default_factory=list)
    negatives: list[tuple[str, int, int]] = field(default_factory=list)


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
    positives, negatives = positive_texts(options.wheels, options.half), negative_texts(options.wheels, options.half)
    texts = [*positives, *negatives]
    scanners: dict[str, Callable[[list[Text]], tuple[list[list[Span]], float]]] = {
        "starloom": lambda given: ours(given, betterleaks=True),
        "starloom, own rules alone": lambda given: ours(given, betterleaks=False),
    }
    for name, python in options.peer:
        scanners[name] = lambda given, name=name, python=python: theirs(given, name, python)
    results = {name: measured(texts, scan) for name, scan in scanners.items()}
    if options.show:
        show(texts, ours(texts, betterleaks=True)[0], options.show)
    values = {"facts": known, "half": options.half, "texts": len(texts), "results": results,
              "negatives": Counter(kind for text in negatives for kind, _, _ in text.negatives)}  # fmt: skip
    record.write(options.record, values, report(values))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheels", type=Path)
    parser.add_argument("--half", type=int, choices=(0, 1, 2), default=1)
    parser.add_argument(
        "--peer", nargs=2, action="append", default=[], metavar=("NAME", "PYTHON"), help="detect-secrets or credsweeper"
    )
    parser.add_argument("--record")
    parser.add_argument("--letters", type=Path)
    parser.add_argument("--show", type=int, default=0, help="print that many misses and false alarms a kind")
    return parser.parse_args()


def real_files(wheels: Path, half: int, each: int) -> Iterator[tuple[str, str]]:
    """(name, text) of some files of every package of a half."""
    for path in sorted(wheels.glob("*.whl")):
        if zlib.crc32(path.name.split("-")[0].encode()) % 2 != min(half, 1):
            continue
        with zipfile.ZipFile(path) as archive:
            entries = [
                entry for entry in archive.infolist() if entry.filename.endswith((*TEXTS, "RECORD")) and entry.file_size < 400_000
            ]
            random.Random(path.name).shuffle(entries)
            for entry in entries[:each]:
                data = archive.read(entry)
                try:
                    yield entry.filename, data.decode()
                except UnicodeDecodeError:
                    continue


def positive_texts(wheels: Path, half: int, per_kind: int = 160) -> list[Text]:
    """Real files with three planted things each, at the ends of lines where nothing is open."""
    draw = random.Random(half)
    wanted = [kind for kind in VALUES for _ in range(per_kind)]
    draw.shuffle(wanted)
    hosts = (host for host in real_files(wheels, half, 40) if MIN_SIZE < len(host[1]) < MAX_SIZE and "RECORD" not in host[0])
    texts = []
    for start, (name, text) in zip(range(0, len(wanted), 3), hosts, strict=False):
        lines, planted, built = text.split("\n"), [], ""
        places = sorted(draw.sample(range(len(lines)), min(3, len(lines))))
        for number, line in enumerate(lines):
            built += line + "\n"
            if number in places and (kind := next(iter(wanted[start + places.index(number) :][:1]), None)):
                piece, first, last = plant(kind, half, draw)
                planted.append((kind, len(built) + first, len(built) + last))
                built += piece + "\n"
        texts.append(Text(Path(name).name, built, planted))
    return texts


def negative_texts(wheels: Path, half: int, per_kind: int = 260) -> list[Text]:
    """Real files with places that look like secrets; at most four of a kind from one file."""
    counts: Counter[str] = Counter()
    texts = []
    for name, text in real_files(wheels, half, 400):
        found = []
        for kind, pattern in NEGATIVES.items():
            if counts[kind] >= per_kind:
                continue
            matches = (match for match in re.finditer(pattern, text) if _is_negative(kind, text, match))
            for match, _ in zip(matches, range(4), strict=False):
                found.append((kind, match.start(), match.end()))
                counts[kind] += 1
        if found and len(text) < 200_000:
            texts.append(Text(Path(name).name, text, negatives=found))
        else:
            counts.subtract(kind for kind, _, _ in found)
    return texts


def _is_negative(kind: str, text: str, match: re.Match[str]) -> bool:
    """A hash on a line that speaks of keys may be one, so it is not taken."""
    line = text[text.rfind("\n", 0, match.start()) + 1 : match.start()][-200:]
    return not (kind in ("hash in hexadecimal", "uuid") and _KEYISH.search(line))


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
    alarms: Counter[str] = Counter()
    alarms_as: Counter[str] = Counter()
    other: Counter[str] = Counter()
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
    return {"kinds": {kind: dict(counts) for kind, counts in kinds.items()}, "alarms": dict(alarms), "alarms_as": dict(alarms_as),
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
    results = values["results"]
    ours_ = results["starloom"]
    total = sum(counts["planted"] for counts in ours_["kinds"].values())
    negatives = sum(values["negatives"].values())
    notes = [
        f"{values['texts']:,} texts: real files of PyPI wheels with {total:,} planted things of {len(ours_['kinds'])} kinds, and real files "
        f"with {negatives:,} hard negatives of {len(values['negatives'])} kinds. Half {values['half']} of the templates and of the packages; "
        "rules were tuned on half 0 alone. One hand wrote rules and templates, and the makers of values are those of both halves."
        + (" This is half 0." if values["half"] == 0 else ""),
        "Recall counts a planted span with half of it or more in one finding; exact: the very span. Precision: planted things found, against "
        "those and the negatives that were touched. Peers look for keys and passwords (detect-secrets names a private key by its head alone, "
        "credsweeper wants one that parses; ours is random), so compare their recall of those. Leaked: characters of planted things that redaction would leave. Processor time, one core.",
    ]
    parts = [record.heading("Personal data and secrets on a planted bench", values["facts"], *notes)]
    parts.append(record.table(["scanner", "recall", "of keys and passwords", "exact", "false alarms", "precision", "F1", "leaked", "MB/s", "files/s"],
                              [_line(name, each, negatives) for name, each in results.items()]))  # fmt: skip
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
    rows = [
        [kind, f"{count}", *(f"{each['alarms'].get(kind, 0)}" for each in results.values())]
        for kind, count in values["negatives"].items()
    ]
    parts += ["", "False alarms by kind of negative:", "", record.table(["negative", "places", *results], rows)]
    rows = []
    for kind in Kind:
        hits = sum(counts["half"] for name, counts in ours_["kinds"].items() if KINDS.get(name, Kind.KEY) is kind)
        false = ours_["alarms_as"].get(kind, 0)
        rows.append([str(kind), f"{hits}", f"{false}", f"{hits / max(hits + false, 1):.3f}", f"{ours_['other'].get(kind, 0)}"])
    parts += ["", "By the kind that starloom gives (unlabelled: findings in the real files beside all of these, most of them real):", "",
              record.table(["kind", "right", "false alarms", "precision", "unlabelled"], rows)]  # fmt: skip
    return "\n".join(parts)


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
    """Print misses and false alarms, for tuning on half 0."""
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
