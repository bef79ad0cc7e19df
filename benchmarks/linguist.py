"""Agreement of our language detection with Linguist itself and with files whose language is known; its speed.

    python benchmarks/linguist.py --linguist RUBY --labelled pygments/tests/examplefiles FOLDER ... [--record linguist]

Linguist is Debian's ruby-github-linguist 7.22.1, and RUBY a command that finds it (a script that sets the paths of the unpacked
packages will do). Files come from the folders, at most `--per-extension` of each extension by the hash of their paths, so that
rare languages count as well as common ones. Labelled files are those of Pygments' sdist: the folder says the lexer, and where
Linguist has a language of that name or alias, it is the truth.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import resource
import shlex
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import enry
import record

from starloom.data import linguist
from starloom.data.linguist import HEAD_BYTES, Detection

PEER = Path(__file__).parent / "peers" / "linguist.rb"
MAX_BYTES = 1_000_000


@dataclass(frozen=True)
class Sample:
    """A file, and what Linguist says of it."""

    root: Path
    path: str
    data: bytes
    language_id: int | None
    generated: bool
    vendored: bool


def chosen(root: Path, per_extension: int) -> list[str]:
    """Paths of files below a folder, the first of each extension by hash."""
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink()]
    paths = [path.relative_to(root).as_posix() for path in files if 0 < path.stat().st_size <= MAX_BYTES]
    groups = collections.defaultdict(list)
    for path in sorted(paths, key=lambda path: hashlib.sha256(path.encode(errors="replace")).digest()):
        if "\n" not in path and path.isascii():
            groups[Path(path).suffix or Path(path).name].append(path)
    return sorted(path for group in groups.values() for path in group[:per_extension])


def ask(command: Sequence[str], root: Path, paths: Sequence[str]) -> tuple[list[Sample], float]:
    """Linguist's answers, and the seconds of processor time that it took."""
    before = _children()
    request = "".join(f"{path}\n" for path in paths)
    answer = subprocess.run([*command, str(PEER), str(root)], input=request, capture_output=True, text=True, check=True).stdout
    seconds = _children() - before
    samples = []
    for path, line in zip(paths, answer.splitlines(), strict=True):
        number, generated, vendored = line.split("\t")
        language = None if number == "-" else int(number)
        samples.append(Sample(root, path, (root / path).read_bytes(), language, generated == "true", vendored == "true"))
    return samples, seconds


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def agreement(samples: Sequence[Sample], found: Sequence[Detection], known: set[int]) -> dict[str, Any]:
    """Shares of files with the same language: of all, of those whose language both know, and by confidence."""
    pairs = [(sample, detection) for sample, detection in zip(samples, found, strict=True)]
    both = [(sample, detection) for sample, detection in pairs if detection.language_id in known or detection.language_id is None]
    wrong = collections.Counter(
        (_name(sample.language_id), detection.language or "none")
        for sample, detection in both
        if sample.language_id != detection.language_id
    )
    return {
        "files": len(pairs),
        "languages": len({sample.language_id for sample, _ in pairs if sample.language_id is not None}),
        "same": _share(sample.language_id == detection.language_id for sample, detection in pairs),
        "files_both_know": len(both),
        "same_both_know": _share(sample.language_id == detection.language_id for sample, detection in both),
        "same_confident": _share(s.language_id == d.language_id for s, d in both if d.confident),
        "same_not_confident": _share(s.language_id == d.language_id for s, d in both if d.language and not d.confident),
        "not_confident": _share(not d.confident for _, d in pairs if d.language),
        "differences": [[*names, count] for names, count in wrong.most_common(12)],
    }


def labelled(folder: Path) -> dict[str, Any]:
    """The share of Pygments' example files whose language is that of their folder."""
    right: list[bool] = []
    wrong: collections.Counter[tuple[str, str]] = collections.Counter()
    truths = set()
    for path in sorted(folder.rglob("*")):
        truth = linguist.canonical(path.relative_to(folder).parts[0])
        if path.is_file() and path.suffix != ".output" and truth is not None and path.stat().st_size:
            found = linguist.detect(path.relative_to(folder).as_posix(), path.read_bytes()).language
            truths.add(truth)
            right.append(found == truth)
            wrong[truth, found or "none"] += found != truth
    return {
        "files": len(right),
        "languages": len(truths),
        "right": sum(right) / len(right),
        "differences": [[*names, count] for names, count in wrong.most_common(12) if count],
    }


def speed(call: Callable[[Sample], object], samples: Sequence[Sample], rounds: int) -> list[float]:
    """Files a second of processor time, once a round."""
    rates = []
    for _ in range(rounds):
        start = time.process_time()
        for sample in samples:
            call(sample)
        rates.append(len(samples) / (time.process_time() - start))
    return rates


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    samples: list[Sample] = []
    peer_seconds = 0.0
    for root in map(Path, arguments.folders):
        some, seconds = ask(shlex.split(arguments.linguist), root, chosen(root, arguments.per_extension))
        samples, peer_seconds = samples + some, peer_seconds + seconds
    found = [linguist.detect(sample.path, sample.data) for sample in samples]
    known = {sample.language_id for sample in samples if sample.language_id is not None}
    whole = [(enry.get_languages(sample.path, sample.data) or [None])[0] for sample in samples]
    heads = [(enry.get_languages(sample.path, sample.data[:HEAD_BYTES]) or [None])[0] for sample in samples]
    calls: dict[str, Callable[[Sample], object]] = {
        "detect (first 16 KiB)": lambda sample: linguist.detect(sample.path, sample.data),
        "enry on whole files": lambda sample: enry.get_languages(sample.path, sample.data),
        "is_generated": lambda sample: linguist.is_generated(sample.path, sample.data),
        "is_vendor": lambda sample: linguist.is_vendor(sample.path),
        "is_binary": lambda sample: linguist.is_binary(sample.data),
    }
    return {
        "facts": record.facts(),
        "backend": linguist.backend(),
        "bytes": sum(len(sample.data) for sample in samples),
        "linguist": agreement(samples, found, known),
        "generated_same": _share(linguist.is_generated(s.path, s.data) == s.generated for s in samples),
        "vendored_same": _share(linguist.is_vendor(s.path) == s.vendored for s in samples),
        "head_as_whole": _share(one == other for one, other in zip(whole, heads, strict=True)),
        "labelled": labelled(Path(arguments.labelled)),
        "files_a_second": {name: speed(call, samples, arguments.rounds) for name, call in calls.items()},
        "linguist_files_a_second": len(samples) / peer_seconds,
    }


def _share(values: Iterable[bool]) -> float:
    known = list(values)
    return sum(known) / max(len(known), 1)


def _name(number: int | None) -> str:
    return next((name for name in linguist.language_names() if linguist.language_id(name) == number), "none")


def markdown(result: dict[str, Any]) -> str:
    peer, files = result["linguist"], result["labelled"]
    rows = [
        ["all files", f"{peer['files']:,}", f"{peer['same']:.1%}"],
        ["files in a language that both know", f"{peer['files_both_know']:,}", f"{peer['same_both_know']:.1%}"],
        ["of these, where more than Bayes decided", "", f"{peer['same_confident']:.1%}"],
        ["of these, where only Bayes decided (language_confidence is low)", "", f"{peer['same_not_confident']:.1%}"],
        ["generated or not", f"{peer['files']:,}", f"{result['generated_same']:.1%}"],
        ["vendored or not", f"{peer['files']:,}", f"{result['vendored_same']:.1%}"],
        ["first 16 KiB beside whole files", f"{peer['files']:,}", f"{result['head_as_whole']:.2%}"],
        ["Pygments' folder names", f"{files['files']:,}", f"{files['right']:.1%}"],
    ]
    speeds = [[name, record.spread(rates)] for name, rates in result["files_a_second"].items()]
    speeds.append(["Linguist 7.22.1, all three questions", f"{result['linguist_files_a_second']:,.0f}"])
    notes = (
        f"{result['backend']} beside GitHub Linguist 7.22.1 (2022) on {peer['files']:,} files in {peer['languages']} languages, "
        f"{result['bytes'] / 1e6:.0f} MB, and on Pygments' {files['files']} example files in {files['languages']} languages.",
        f"Only Bayes decided in {peer['not_confident']:.1%} of the files. Compared by language id.",
    )
    most = "; ".join(f"{truth} - {found} {count}" for truth, found, count in peer["differences"])
    pygments = "; ".join(f"{truth} - {found} {count}" for truth, found, count in files["differences"])
    return "\n".join(
        [
            record.heading("Languages beside Linguist", result["facts"], *notes),
            record.table(["agreement", "files", "same"], rows),
            "",
            record.table(["files a second of one core: median (least-greatest)", "files/s"], speeds),
            "",
            f"Most frequent differences (Linguist - ours): {most}.",
            f"Pygments - ours: {pygments}.",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--linguist", required=True, help="the command that runs Ruby with Linguist")
    parser.add_argument("--labelled", required=True, help="tests/examplefiles of Pygments' sdist")
    parser.add_argument("--per-extension", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--record")
    arguments = parser.parse_args()
    result = measure(arguments)
    record.write(arguments.record, result, markdown(result))


if __name__ == "__main__":
    main()
