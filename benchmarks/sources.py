"""How fast sources give records, beside the bare libraries on the same bytes.

    python benchmarks/sources.py ARCHIVE... [--record NAME]

Archives are read as they are; their files are then a folder, a git repository, contents by hash, and (made here) events of
GitHub Archive. Each case runs in a process of its own, `--repeats` times; figures are processor time, children included.
"""

import argparse
import gzip
import hashlib
import json
import multiprocessing
import os
import resource
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import record

from starloom.data.sources.files import Files
from starloom.data.sources.github.issues import Issues
from starloom.data.sources.heritage.contents import Wanted, fetch
from starloom.data.sources.record import MISSING, ReadSettings, Record

EVENTS = 20_000
SETTINGS = ReadSettings()
Sizes = Iterator[int]


def of_records(records: Iterator[Record]) -> Sizes:
    return (len(item.content or b"") for item in records)


def ours_archives(places: list[str]) -> Sizes:
    for place in places:
        yield from of_records(Files(Path(place)).records(SETTINGS))


def bare_archives(places: list[str]) -> Sizes:
    for place in places:
        if place.endswith((".whl", ".zip")):
            with zipfile.ZipFile(place) as archive:
                yield from (len(archive.read(member)) for member in archive.infolist() if not member.is_dir())
        else:
            with tarfile.open(place) as archive:
                yield from (len(archive.extractfile(member).read()) for member in archive if member.isreg())  # type: ignore[union-attr]


def bare_folder(places: list[str]) -> Sizes:
    for place, _, names in os.walk(places[0]):
        yield from (len(Path(place, name).read_bytes()) for name in names)


def bare_git(places: list[str]) -> Sizes:
    process = subprocess.Popen(["git", "-C", places[0], "archive", "HEAD"], stdout=subprocess.PIPE)
    with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
        yield from (len(archive.extractfile(member).read()) for member in archive if member.isreg())  # type: ignore[union-attr]
    process.wait()


def ours_events(places: list[str]) -> Sizes:
    return of_records(Issues(places[0]).records(SETTINGS))


def bare_events(places: list[str]) -> Sizes:
    with gzip.open(places[0]) as lines:
        yield from (len(json.loads(line)["payload"]["issue"]["body"]) for line in lines)


def ours_contents(places: list[str]) -> Sizes:
    empty = Record("r", "p", "file", None, 0, refused=MISSING)
    return of_records(fetch((Wanted(empty, name) for name in _names(places[0])), places[0], SETTINGS))


def bare_contents(places: list[str]) -> Sizes:
    for name in _names(places[0]):
        with gzip.open(Path(places[0], name)) as stream:
            yield len(stream.read())


def _names(folder: str) -> list[str]:
    return sorted(place.name for place in Path(folder).iterdir())


def measure(
    case: Callable[[list[str]], Sizes], places: list[str], answers: "multiprocessing.SimpleQueue[tuple[float, ...]]"
) -> None:
    before = sum(os.times()[:4])
    sizes = list(case(places))
    seconds = sum(os.times()[:4]) - before
    answers.put((seconds, len(sizes), sum(sizes), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def run(case: Callable[[list[str]], Sizes], places: list[str]) -> tuple[float, ...]:
    context = multiprocessing.get_context("spawn")
    answers = context.SimpleQueue()
    process = context.Process(target=measure, args=(case, places, answers))
    process.start()
    found = answers.get()
    process.join()
    return found


def prepare(archives: list[str], folder: Path) -> dict[str, list[str]]:
    """The same files in every form."""
    for place in archives:
        for item in Files(Path(place)).records(SETTINGS):
            if item.content is not None:
                for target, data in (
                    (folder / "tree" / item.repository / item.path, item.content),
                    (folder / "content" / hashlib.sha1(item.content).hexdigest(), gzip.compress(item.content)),
                ):
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(data)
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "-Af"], [*identity, "commit", "-qm", "all"], ["repack", "-qad"]):
        subprocess.run(["git", "-C", str(folder / "tree"), *command], check=True)
    with gzip.open(folder / "events.json.gz", "wt") as stream:
        for number in range(EVENTS):
            issue = {
                "number": number // 4,
                "title": "It breaks here",
                "body": "some words of text " * 40,
                "user": {"login": "ann"},
            }
            said = {"body": f"comment {number} " * 20, "user": {"login": f"u{number % 7}"}, "id": number}
            payload = {"action": "created", "issue": issue, "comment": said}
            event = {
                "id": number,
                "type": "IssueCommentEvent",
                "actor": {"login": "x"},
                "repo": {"name": f"own/r{number % 1000}"},
            }
            stream.write(json.dumps(event | {"created_at": f"2020-01-01T00:00:{number % 60:02}Z", "payload": payload}) + "\n")
    tree, events, content = (str(folder / name) for name in ("tree", "events.json.gz", "content"))
    return {"archives": archives, "folder": [tree], "git": [tree], "issues": [events], "contents by hash": [content]}


CASES = {
    "archives": (ours_archives, bare_archives),
    "git": (ours_archives, bare_git),
    "folder": (ours_archives, bare_folder),
    "issues": (ours_events, bare_events),
    "contents by hash": (ours_contents, bare_contents),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archives", nargs="+")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--record")
    arguments = parser.parse_args()
    known, rows, results = record.facts(), [], {}
    known["command"] = known["command"].split(" ")[0] + f" benchmarks/sources.py ({len(arguments.archives)} archives)"
    with tempfile.TemporaryDirectory() as scratch:
        places = prepare(arguments.archives, Path(scratch))
        for name, (ours, bare) in CASES.items():
            if name == "folder":
                subprocess.run(["rm", "-rf", str(Path(scratch) / "tree" / ".git")], check=True)
            runs = [(run(ours, places[name]), run(bare, places[name])) for _ in range(arguments.repeats)]
            results[name] = runs
            rate = [mine[2] / mine[0] / 1e6 for mine, _ in runs]
            number = [mine[1] / mine[0] for mine, _ in runs]
            ratio = [theirs[0] / mine[0] for mine, theirs in runs]
            memory = [mine[3] for mine, _ in runs]
            size = f"{runs[0][0][2] / 1e6:,.0f} in {runs[0][0][1]:,.0f}"
            rows.append([name, size, *map(record.spread, (rate, number)), record.spread(ratio, 2), record.spread(memory)])
    columns = ["source", "MB in records", "MB/s", "records/s", "speed beside the bare library", "peak MB"]
    notes = (
        "Rates are per second of processor time, children included: the median (least-greatest). The bare library reads the same",
        "bytes and checks nothing: `zipfile`, `tarfile`, `git archive`, `os.walk`, `json.loads` of each line, `gzip`.",
    )
    markdown = record.heading("Sources", known, "", *notes) + "\n" + record.table(columns, rows)
    record.write(arguments.record, {"facts": known, "runs": results}, markdown)


if __name__ == "__main__":
    main()
