"""What ScanCode says of the licences of real files, kept in a store, so that asking goes on where it stopped; and what follows
for the files around them. For `benchmarks/licences.py`.

ScanCode joins all that it finds in a file with AND. Of files that speak for others three things are told apart, by its answers:

1. What its reader of package manifests declares stands for the manifest; of Python's METADATA only the header counts.
2. Where a file has parts that name their files (`starloom.data.licences.parts`), a match in such a part speaks for these files;
   for none if they are compiled libraries.
3. Where some file offers a choice (`mit OR gpl-3.0`), the licences of that choice are not demanded once more by the texts beside
   it: a package that is "dual licensed" comes with both texts.
4. A GNU licence that is matched in a line or two counts only if they name it (one rule finds the LGPL in "all code in the project
   is licenced under the"), and not in the footnotes of Python's licence, which speak about the GPL.

The list was written after the disagreements had been seen, so agreement is shown without it too.
What `NEUTRAL` lists and grants of patents demand nothing.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from licence_packages import Sampled

from starloom.data.licences.evidence import Evidence
from starloom.data.licences.expressions import Both, Either, Expression, WithException, parse
from starloom.data.licences.manifests import is_manifest
from starloom.data.licences.parts import parts_of
from starloom.data.licences.policies import Policy

Standing = Literal["keep", "none", "drop"]
NEUTRAL = {"dco-1.1", "generic-cla", "google-cla", "jetty-ccla-1.1", "newton-king-cla", "generic-exception"} | {
    "generic-export-compliance",
    "generic-tos",
    "generic-trademark",
    "warranty-disclaimer",
}
REFERENCES = ("unknown-license-reference", "free-unknown")  # "see the licence", "is free software"
PYTHON_METADATA = ("METADATA", "PKG-INFO")
GNU = re.compile(r"gpl|gnu|general public|copyleft", re.IGNORECASE)
PYTHON_FOOTNOTE = re.compile(
    r"GPL-compatible doesn't mean|All Python licenses, unlike the GPL|GPL-compatible licenses make it possible to combine Python"
    r"|other software that is released under the GPL; the others don't|\"not incompatible\" with the GPL"
)
ASK = Path(__file__).parent / "peers" / "ask_scancode.py"


@dataclass(frozen=True)
class ScanCode:
    """ScanCode's answers by SHA-256."""

    answers: Mapping[str, Mapping[str, Any]]

    @classmethod
    def open(cls, store: Path) -> ScanCode:
        """Read the store; a line that was cut off is left out."""
        lines = store.read_text().splitlines() if store.exists() else []
        found = [json.loads(line) for line in lines if line.endswith("}")]
        return cls({answer["sha256"]: answer for answer in found if "error" not in answer})

    @property
    def categories(self) -> dict[str, Mapping[str, str]]:
        """SPDX identifier and category of every key that occurs."""
        return {key: value for answer in self.answers.values() for key, value in answer["licences"].items()}

    def of_itself(self, file: Sampled) -> str | None:
        """What a file says of its own licence."""
        expression: str | None = self.answers[file.sha256].get("declared") or self.answers[file.sha256]["expression"]
        return expression

    def of_others(self, file: Sampled, *, plain: bool = False) -> list[Evidence]:
        """What a licence file, manifest or the like says of the files around it; empty for one that was not answered.

        `plain` gives the answer as it is."""
        answer = self.answers.get(file.sha256, {})
        if plain:
            return [Evidence(file.path, answer["expression"], "text", scope="folder")] if answer.get("expression") else []
        if declared := answer.get("declared"):
            return [Evidence(file.path, declared, "text", scope="folder")]
        parts, lines, found = parts_of(file.text), file.text.splitlines(keepends=True), []
        last_line = lines.index("\n") if file.name in PYTHON_METADATA and "\n" in lines else len(lines)
        for expression, first, last in answer.get("matches", ()):
            if first > last_line or (last - first < 2 and not _is_named(expression, "".join(lines[first - 1 : last]))):
                continue
            start = sum(map(len, lines[: first - 1]))
            part = next((part for part in parts if part.start <= start < part.end), None)
            if part is None:
                found.append(Evidence(file.path, expression, "text", scope="folder"))
            elif not part.is_compiled:
                found.append(Evidence(file.path, expression, f"line {first}", 1.0, "patterns", part.patterns))
        return found

    def standing(self, expression: str | None, policy: Policy) -> Standing:
        """By ScanCode's own categories and Blue Oak's list (through the policy): the decisions of The Stack v2."""
        if not expression:
            return "none"
        tree = parse(expression)
        assert tree is not None, f"'{expression}' cannot be read"
        worst = _worth(tree, self.categories, policy)
        return "keep" if worst == 2 else "none" if worst == 0 else "drop"

    def is_copyleft(self, expression: str | None, policy: Policy) -> bool:
        """Whether a licence of a copyleft category decides that the file is dropped."""
        names = parse(expression) if expression else None
        known = self.categories
        copyleft = names is not None and any("Copyleft" in known[key]["category"] for key in _keys(names) if key in known)
        return copyleft and self.standing(expression, policy) == "drop"


def _is_named(expression: str, lines: str) -> bool:
    """Whether the matched `lines` name the GNU licences of `expression`, and not only to speak about them; True for others."""
    return "gpl" not in expression or bool(GNU.search(lines) and not PYTHON_FOOTNOTE.search(lines))


def with_choices(expression: str) -> str:
    """`expression` without the licences that it demands although another part of it offers them as a choice."""
    tree = parse(expression)
    assert tree is not None or not expression, f"'{expression}' cannot be read"
    parts = list(_all_of(tree)) if tree is not None else []
    offered = {_stem(key) for part in parts if isinstance(part, Either) for key in _keys(part)}
    needed = (_written(part) for part in parts if not (isinstance(part, str) and _stem(part) in offered))
    return " AND ".join(dict.fromkeys(needed))


def _all_of(tree: Expression) -> Iterator[Expression]:
    if isinstance(tree, Both):
        for part in tree.parts:
            yield from _all_of(part)
    else:
        yield tree


def _written(tree: Expression) -> str:
    match tree:
        case Either(parts) | Both(parts):
            return f"({(' OR ' if isinstance(tree, Either) else ' AND ').join(map(_written, parts))})"
        case WithException(licence, exception):
            return f"{licence} WITH {exception}"
        case _:
            return tree


def _stem(key: str) -> str:
    return key.removesuffix("-plus")


def _worth(tree: Expression, categories: Mapping[str, Mapping[str, str]], policy: Policy) -> int:
    """2 permissive, 0 neutral, 1 a reference to something unknown (outweighed by a permissive licence), -1 everything else."""
    match tree:
        case Either(parts):
            return max(_worth(part, categories, policy) for part in parts)
        case Both(parts):
            worths = [_worth(part, categories, policy) for part in parts]
            return -1 if -1 in worths else max(worths)
        case WithException(licence, _):
            return _worth(licence, categories, policy)
    if tree in NEUTRAL or tree in REFERENCES:
        return int(tree in REFERENCES)
    known = categories[tree]
    if known["category"] == "Patent License":  # grants more, beside a licence
        return 0
    listed = known["category"] in ("Permissive", "Public Domain") or policy.standing(known["spdx"]) == "permissive"
    return 2 if listed else -1


def _keys(tree: Expression) -> Iterator[str]:
    match tree:
        case Either(parts) | Both(parts):
            for part in parts:
                yield from _keys(part)
        case WithException(licence, _):
            yield licence
        case _:
            yield tree


def ask(python: Path, store: Path, packages: Path, files: Iterable[Sampled]) -> None:
    """Let ScanCode (of the environment of `python`) answer what the store lacks; about a second a file."""
    asked = (
        {"sha256": file.sha256, "place": str(packages / file.repository / file.path), "manifest": is_manifest(file.name)}
        for file in files
    )
    subprocess.run([str(python), str(ASK), str(store)], input="\n".join(map(json.dumps, asked)), text=True, check=True)
