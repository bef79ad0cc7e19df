"""The licence detector on real packages: speed, SPDX's texts, and agreement with ScanCode and with Debian's copyright files.

    mkdir fetched && cp benchmarks/licences/fetch.lock fetched
    starloom data fetch benchmarks/licences/names.txt --out fetched
    python benchmarks/licences.py PACKAGES --fetched fetched --answers ANSWERS.jsonl [--scancode PYTHON] [--record licences]

The same with `held-out.lock` and `held-out.txt`, or `held-out-2`, in other folders and with --files 400, is for packages whose
files and answers nobody had seen when they were first measured.

PACKAGES holds unpacked packages, a folder each; those of `fetched` are unpacked there first. ANSWERS keeps what ScanCode said;
with --scancode (the interpreter of an environment that has it, see `peers/ask_scancode.py`) files that it lacks are asked about
first. "Alone" judges a file by itself, "in its package" with all licence files around it. Debian's files are the truth only for
paths whose paragraph we can read, and play no part in our own verdicts here.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import record
from licence_packages import Sampled, candidates, paths_of, read_text, sample, unpack
from licence_truths import ScanCode, ask, with_choices

from starloom.data.licences.dep5 import matcher, read_dep5
from starloom.data.licences.evidence import Evidence, file_evidence, speaks_for_others
from starloom.data.licences.expressions import conjunction
from starloom.data.licences.policies import Policy, open_policy
from starloom.data.licences.texts import spdx_texts, texts_in
from starloom.data.licences.verdicts import Propagation, Verdict, judge
from starloom.data.licences.words import words_of

KIND = {"permissive": "keep", "no_license": "none", "non_permissive": "drop"}
ROUNDS = 3
KEEP_OR_DROP = (
    "Keep or drop, ours beside theirs. The rules for reading ScanCode's answers (the head of `benchmarks/licence_truths.py`) were"
    ' written after its disagreements with ours had been seen;\n"its answers as they are" is without them.'
)


def speed(packages: Path, most_files: int) -> list[dict[str, float]]:
    """Files and bytes a second of processor time over whole packages, a third of them a round; reading is not counted."""
    file_evidence("warm.c", "a licence of so many words that the index of texts is made before the time is taken")
    rounds = []
    for number in range(ROUNDS):
        seconds, files, size = 0.0, 0, 0
        for folder in sorted(packages.iterdir())[number::ROUNDS]:
            for path in paths_of(folder)[:most_files]:
                text = read_text(folder / path, 1_000_000)
                if text is not None:
                    start = time.process_time()
                    file_evidence(path, text)
                    seconds += time.process_time() - start
                    files, size = files + 1, size + len(text)
        rounds.append({"files": files, "megabytes": size / 1e6, "seconds": seconds})
    return rounds


def recognition() -> dict[str, int]:
    """How many of SPDX's texts are recognised: as they are, as a comment that is wrapped anew, with every 40th word replaced."""
    texts = {name: words_of(text) for name, text in spdx_texts().items()}
    same: dict[tuple[str, ...], set[str]] = {}
    for name, words in texts.items():
        same.setdefault(tuple(words), set()).add(name)
    policy = open_policy()
    counts = Counter({"texts": len(texts)})
    for name, words in texts.items():
        damaged = [word if place % 40 else "changed" for place, word in enumerate(words)]
        comment = words_of("/*" + "".join(f"\n * {' '.join(words[at : at + 9])}" for at in range(0, len(words), 9)) + "\n */")
        for kind, form in (("as it is", words), ("as a comment", comment), ("damaged", damaged)):
            found = [text.identifier for text in texts_in(form)[0]]
            counts[kind] += bool(found) and found[0] in same[tuple(words)]
            counts[f"{kind}, same verdict"] += bool(found) and policy.standing(found[0]) == policy.standing(name)
    return dict(counts)


def our_verdicts(packages: Path, files: Sequence[Sampled], policy: Policy) -> list[Verdict]:
    """The verdict on each file in its package, without what the `debian` folder says."""
    evidence: dict[str, list[Evidence]] = {}
    paths: dict[str, list[str]] = {}
    for repository in {file.repository for file in files}:
        paths[repository] = paths_of(packages / repository)
        around = [path for path in paths[repository] if speaks_for_others(path) and "/debian/" not in f"/{path}"]
        texts = ((path, read_text(packages / repository / path, 1_000_000)) for path in around)
        evidence[repository] = [item for path, text in texts if text is not None for item in file_evidence(path, text)]
    for file in files:
        evidence[file.repository] += [item for item in file_evidence(file.path, file.text) if item.scope == "file"]
    known = {name: dict(zip(inside, judge(inside, evidence[name], policy), strict=True)) for name, inside in paths.items()}
    return [known[file.repository][file.path] for file in files]


def their_expressions(
    packages: Path, files: Sequence[Sampled], around: Sequence[Sampled], scancode: ScanCode, *, plain: bool
) -> list[str]:
    """What ScanCode says of each file and of the licence files around it, joined by the same propagation.

    `plain` takes the answers as they are, without the rules of `licence_truths.py`.
    """
    evidence: dict[str, list[Evidence]] = {}
    for file in around:
        evidence.setdefault(file.repository, []).extend(scancode.of_others(file, plain=plain))
    inside = {
        name: Propagation(paths_of(packages / name), evidence.get(name, ())) for name in {file.repository for file in files}
    }
    above = [inside[file.repository].of(file.path)[0] for file in files]
    above = above if plain else list(map(with_choices, above))
    own = map(scancode.of_itself, files)
    return [conjunction(f"({part})" for part in both if part) for both in zip(above, own, strict=True)]


def agreement(ours: Sequence[str], theirs: Sequence[str], copyleft: Sequence[bool]) -> dict[str, Any]:
    """Keep or drop (`none` is kept, as in The Stack v2) on both sides."""
    pairs = list(zip(ours, theirs, strict=True))
    return {
        "files": len(pairs),
        "agreement": sum((one == "drop") == (other == "drop") for one, other in pairs) / max(1, len(pairs)),
        "kept, theirs drop": sum(one != "drop" and other == "drop" for one, other in pairs),
        "dropped, theirs keep": sum(one == "drop" and other != "drop" for one, other in pairs),
        "copyleft kept": sum(one != "drop" and flag for one, flag in zip(ours, copyleft, strict=True)),
        "copyleft": sum(copyleft),
        "table": {f"{other} / {one}": count for (one, other), count in sorted(Counter(pairs).items())},
    }


def beside_scancode(packages: Path, known: Sequence[Sampled], scancode: ScanCode, policy: Policy) -> dict[str, Any]:
    """Agreement on files that ScanCode has answered, alone and in their packages."""
    around = [file for file in candidates(packages, known) if file.sha256 in scancode.answers]
    alone = [scancode.of_itself(file) for file in known]
    whole, plain = (their_expressions(packages, known, around, scancode, plain=plain) for plain in (False, True))
    own = [judge([f.path], [e for e in file_evidence(f.path, f.text) if e.scope == "file"], policy)[0] for f in known]
    verdicts = our_verdicts(packages, known, policy)
    results: dict[str, Any] = {"seconds": [scancode.answers[file.sha256]["seconds"] for file in known]}
    for name, mine, theirs in (("alone", own, alone), ("in its package", verdicts, whole), ("plain", verdicts, plain)):
        kinds = [KIND[verdict.licence_type] for verdict in mine]
        standings = [scancode.standing(expression, policy) for expression in theirs]
        results[name] = agreement(kinds, standings, [scancode.is_copyleft(expression, policy) for expression in theirs])
        results[name]["differ"] = [
            [f"{file.repository}/{file.path}", standing, expression, kind, verdict.licence, verdict.evidence]
            for file, kind, standing, expression, verdict in zip(known, kinds, standings, theirs, mine, strict=True)
            if (kind == "drop") != (standing == "drop")
        ]
    return results


def beside_debian(packages: Path, policy: Policy, per_package: int) -> dict[str, Any]:
    """Agreement with the `debian/copyright` of Debian's sources, where its paragraph is one that we can read."""
    ours, theirs, names, differ = [], [], set(), []
    for folder in sorted(packages.iterdir()):
        text = read_text(folder / "debian/copyright", 10_000_000)
        paragraphs = [(matcher(part.patterns), part.expression) for part in read_dep5(text or "")]
        files = [f for f in sample_of(folder, per_package) if not f.path.startswith(("debian/", ".pc/"))] if paragraphs else []
        verdicts = our_verdicts(packages, files, policy)
        for file, verdict in zip(files, verdicts, strict=True):
            expression = next((expression for pattern, expression in reversed(paragraphs) if pattern.fullmatch(file.path)), None)
            if expression is None or "LicenseRef-Unknown" in expression:
                continue
            names.add(folder.name)
            ours.append(KIND[verdict.licence_type])
            theirs.append("keep" if policy.standing(expression) == "permissive" else "drop")
            if (ours[-1] == "drop") != (theirs[-1] == "drop"):
                differ.append([f"{folder.name}/{file.path}", theirs[-1], expression, ours[-1], verdict.licence, verdict.evidence])
    return {**agreement(ours, theirs, [kind == "drop" for kind in theirs]), "packages": len(names), "differ": differ}


def sample_of(folder: Path, count: int) -> list[Sampled]:
    """The first `count` paths of a package by a stride over all of them."""
    paths = paths_of(folder)
    chosen = paths[:: max(1, len(paths) // count)][:count]
    texts = ((path, read_text(folder / path, 200_000)) for path in chosen)
    return [Sampled(folder.name, path, text) for path, text in texts if text is not None]


def markdown(result: dict[str, Any]) -> str:
    """The record."""
    rounds, texts = result["speed"], result["recognition"]
    rates = [one["files"] / one["seconds"] for one in rounds]
    megabytes = [one["megabytes"] / one["seconds"] for one in rounds]
    lines = [
        record.heading("Licences of real files", result["facts"]),
        f"Evidence of {sum(one['files'] for one in rounds):,.0f} files of {result['packages']} packages, processor time of one "
        f"core, a third of the packages a round: **{record.spread(rates)} files/s**, {record.spread(megabytes, 1)} MB/s "
        "(goal: 1,500 files/s).",
    ]
    scancode = result["scancode"]
    if scancode["seconds"]:
        lines.append(
            f"ScanCode has answered {len(scancode['seconds']):,} of {result['asked']:,} files, one of each package in turn: "
            f"{1 / statistics.mean(scancode['seconds']):.1f} files/s of processor time in one process."
        )
    lines += ["", f"SPDX's {texts['texts']} texts (equal ones count as one):", ""]
    kinds = ("as it is", "as a comment", "damaged")
    rows = [[kind, str(texts[kind]), str(texts[f"{kind}, same verdict"])] for kind in kinds]
    lines += [record.table(["form", "identifier right", "same verdict"], rows), "", KEEP_OR_DROP, ""]
    columns = ["truth", "files", "agreement", "we keep, they drop", "we drop, they keep", "copyleft", "copyleft kept"]
    titles = {"alone": "file alone", "in its package": "file in its package", "plain": "the same, its answers as they are"}
    parts = [(f"ScanCode, {title}", scancode[key]) for key, title in titles.items()] if scancode["seconds"] else []
    parts.append((f"Debian ({result['debian']['packages']} packages)", result["debian"]))
    rows = [
        [name, f"{part['files']:,}", f"{part['agreement']:.2%}", *(f"{part[key]:,}" for key in COUNTS)] for name, part in parts
    ]
    lines += [record.table(columns, rows), "", "Most frequent differences, by package (theirs: ours):", ""]
    return "\n".join([*lines, *(f"- {line}" for name, part in parts for line in _differences(name, part["differ"]))])


def _differences(name: str, differ: Sequence[Sequence[Any]]) -> list[str]:
    """One line for each of the packages with the most differences."""
    groups: dict[tuple[str, str], list[Sequence[Any]]] = {}
    for row in differ:
        groups.setdefault((row[0].partition("/")[0], row[1]), []).append(row)
    most = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))[:MOST_LINES]
    return [
        f"{name}: {package}, {len(rows)} files ({theirs}: {rows[0][3]}), as {rows[0][0].partition('/')[2]}: "
        f"`{str(rows[0][2])[:100]}` beside `{str(rows[0][4])[:100]}` ({rows[0][5][:100]})"
        for (package, theirs), rows in most
    ]


MOST_LINES = 8
COUNTS = ("kept, theirs drop", "dropped, theirs keep", "copyleft", "copyleft kept")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", type=Path)
    parser.add_argument("--fetched", type=Path)
    parser.add_argument("--answers", type=Path, required=True)
    parser.add_argument("--scancode", type=Path)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--per-package", type=int, default=100)
    parser.add_argument("--record")
    given = parser.parse_args()
    facts, policy = record.facts(), open_policy()
    if given.fetched:
        unpack(given.fetched, given.packages)
    if not given.packages.is_dir():
        parser.error(f"there is no folder '{given.packages}': name one of unpacked packages, or what to unpack with --fetched")
    files = sample(given.packages, given.files)
    if given.scancode:
        ask(given.scancode, given.answers, given.packages, [*candidates(given.packages, files), *files])
    scancode = ScanCode.open(given.answers)
    known = [file for file in files if file.sha256 in scancode.answers]
    result = {
        "facts": facts,
        "asked": len(files),
        "packages": sum(1 for _ in given.packages.iterdir()),
        "speed": speed(given.packages, 500),
        "recognition": recognition(),
        "scancode": beside_scancode(given.packages, known, scancode, policy),
        "debian": beside_debian(given.packages, policy, given.per_package),
    }
    record.write(given.record, result, markdown(result))


if __name__ == "__main__":
    main()
