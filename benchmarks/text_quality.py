"""What decoding, the quality rules, the parse check and import orders cost, and how often each rule speaks, on real folders.

    python benchmarks/text_quality.py FOLDER ... --repositories FOLDER ... [--per-extension 60] [--record text-quality]

Rates are of processor time (with that of the process that parses), with all texts in memory. Repositories are read whole, for the
orders: an order's worth is the share of imports whose target stands before the importing file and so near that a window of 4,096
or 16,384 tokens, at 3.2 characters a token, holds the beginnings of both.
"""

from __future__ import annotations

import argparse
import collections
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import linguist as languages
import record

from starloom.data import linguist
from starloom.data.imports import IMPORTING_LANGUAGES
from starloom.data.orders import FileOrder, order_files
from starloom.data.plans import imports_of
from starloom.data.quality import rules
from starloom.data.quality.decoding import decode
from starloom.data.quality.parse import ParseChecker
from starloom.data.quality.signals import Signals, measure
from starloom.data.quality.verdict import verdict

CHARS_A_TOKEN = 3.2
CONTEXTS = (4096, 16_384)
ORDERS: tuple[FileOrder, ...] = ("random", "path", "imports")


@dataclass(frozen=True)
class Sample:
    """A file that is text and has a language."""

    path: str
    data: bytes
    text: str
    language: str
    generated: bool | None
    signals: Signals


def read(root: Path, per_extension: int) -> list[Sample]:
    samples = []
    for path in languages.chosen(root, per_extension):
        data = (root / path).read_bytes()
        decoded, found = decode(data), linguist.detect(path, data)
        if decoded is not None and found.language is not None:
            generated = linguist.is_generated(path, data)
            samples.append(Sample(path, data, decoded.text, found.language, generated, measure(decoded.text)))
    return samples


def processor_time() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def rate(work: Callable[[], object], files: int, size: int, rounds: int) -> dict[str, list[float]]:
    """Files and MB a second, once a round."""
    seconds = []
    for _ in range(rounds):
        start = processor_time()
        work()
        seconds.append(processor_time() - start)
    return {"files": [files / each for each in seconds], "mb": [size / each / 1e6 for each in seconds]}


def parse_all(samples: list[Sample]) -> list[float | None]:
    with ParseChecker() as checker:
        return [checker.error_share(sample.text, sample.language) for sample in samples]


def parts(samples: list[Sample], rounds: int) -> dict[str, dict[str, list[float]]]:
    each: dict[str, Callable[[Sample], object]] = {
        "decode": lambda s: decode(s.data),
        "signals": lambda s: measure(s.text),
        "verdict (all rules, with signals)": lambda s: verdict(s.text, s.path, s.language, flagged_generated=s.generated),
        "  encoded data alone": lambda s: rules.encoded_data(s.text),
        "  HTML's visible text alone": lambda s: rules.little_visible_text(s.text, "HTML"),
        "  words alone": lambda s: rules.nearly_empty(s.text),
    }
    size = sum(len(sample.data) for sample in samples)
    result = {
        name: rate(lambda call=call: [call(sample) for sample in samples], len(samples), size, rounds)  # type: ignore[misc]
        for name, call in each.items()
    }
    result["parse check"] = rate(lambda: parse_all(samples), len(samples), size, 1)
    return result


def repositories(roots: list[str]) -> dict[str, dict[str, Sample]]:
    """All files with imports, by folder and path."""
    found = {Path(root).name: read(Path(root), per_extension=10**9) for root in roots}
    return {name: {s.path: s for s in samples if s.language in IMPORTING_LANGUAGES} for name, samples in found.items()}


def graphs_of(folders: dict[str, dict[str, Sample]]) -> dict[str, dict[str, list[str]]]:
    return {name: imports_of({path: (s.language, s.text) for path, s in files.items()}) for name, files in folders.items()}


def orders(folders: dict[str, dict[str, Sample]]) -> dict[str, dict[str, float]]:
    """By order, the share of imports within each context, and that stand before what imports them at all."""
    graphs = graphs_of(folders)
    result: dict[str, dict[str, float]] = {}
    for order in ORDERS:
        edges = 0
        counts = collections.Counter[str]()
        for name, files in folders.items():
            paths = list(files)
            start, place = 0, {}
            for item in order_files(name, paths, order, 0, graphs[name]):
                place[paths[item]] = start
                start += len(files[paths[item]].text)
            gaps = [place[path] - place[target] for path, targets in graphs[name].items() for target in targets]
            edges += len(gaps)
            counts["before"] += sum(gap > 0 for gap in gaps)
            for context in CONTEXTS:
                counts[str(context)] += sum(0 < gap <= context * CHARS_A_TOKEN for gap in gaps)
        result[order] = {"imports": edges, **{key: counts[key] / max(edges, 1) for key in ("before", *map(str, CONTEXTS))}}
    return result


def measure_all(arguments: argparse.Namespace) -> dict[str, Any]:
    samples = [sample for root in map(Path, arguments.folders) for sample in read(root, arguments.per_extension)]
    verdicts = [verdict(s.text, s.path, s.language, flagged_generated=s.generated, signals=s.signals) for s in samples]
    shares = parse_all(samples)
    parsed = [share for share in shares if share is not None]
    folders = repositories(arguments.repositories)
    whole = [sample for files in folders.values() for sample in files.values()]
    costs = parts(samples, arguments.rounds)
    costs["imports"] = rate(lambda: graphs_of(folders), len(whole), sum(len(s.data) for s in whole), arguments.rounds)
    return {
        "facts": record.facts(),
        "files": len(samples),
        "bytes": sum(len(sample.data) for sample in samples),
        "languages": len({sample.language for sample in samples}),
        "dropped": dict(collections.Counter(drop.reason for drop in verdicts if drop is not None).most_common()),
        "parsed": len(parsed),
        "without_error": sum(share == 0 for share in parsed) / len(parsed),
        "over_a_tenth": sum(share > 0.1 for share in parsed) / len(parsed),
        "parts": costs,
        "repositories": {name: len(files) for name, files in folders.items()},
        "orders": orders(folders),
    }


def markdown(result: dict[str, Any]) -> str:
    rows = [[name, record.spread(rates["files"]), record.spread(rates["mb"], 1)] for name, rates in result["parts"].items()]
    drops = [[reason, f"{count:,}", f"{count / result['files']:.1%}"] for reason, count in result["dropped"].items()]
    kinds = [
        [order, *(f"{values[key]:.0%}" for key in ("before", *map(str, CONTEXTS)))] for order, values in result["orders"].items()
    ]
    notes = (
        f"{result['files']:,} files in {result['languages']} languages, {result['bytes'] / 1e6:.0f} MB.",
        f"{result['parsed']:,} files have a grammar and were parsed to the end: {result['without_error']:.1%} without an error, "
        f"{result['over_a_tenth']:.1%} with more than a tenth of their bytes in errors.",
    )
    return "\n".join(
        [
            record.heading("Decoding, quality rules, parse check and orders", result["facts"], *notes),
            record.table(["part, of one core: median (least-greatest)", "files/s", "MB/s"], rows),
            "",
            record.table(["first broken rule", "files", "share"], drops),
            "",
            f"Of {result['orders']['random']['imports']:,} imports among the {sum(result['repositories'].values()):,} files of "
            f"{', '.join(result['repositories'])}, the share whose target stands",
            "",
            record.table(["order", "before", *(f"within {context:,} tokens" for context in CONTEXTS)], kinds),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--repositories", nargs="+", default=[])
    parser.add_argument("--per-extension", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--record")
    arguments = parser.parse_args()
    result = measure_all(arguments)
    record.write(arguments.record, result, markdown(result))


if __name__ == "__main__":
    main()
