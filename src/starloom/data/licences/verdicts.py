"""Which licence each file of a repository stands under, and whether it may be kept: the reduce side, one repository at a time.

Everything that applies to a file holds (AND): what it says itself, what the licence files, manifests and `debian/copyright`
in its folder and in all folders above say (The Stack v2's propagation, StarCoder 2 paper, section 2.1), and the repository's
licence as its host has it. So a permissive licence higher up never outweighs a copyleft notice in a file, nor the other way
round.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from starloom.data.licences.dep5 import matcher
from starloom.data.licences.evidence import Evidence, is_licence_file
from starloom.data.licences.expressions import conjunction, identifiers, offers_choice
from starloom.data.licences.policies import Policy
from starloom.data.quality.filters import OTHER_LICENCE, UNKNOWN_LICENCE

LicenceType = Literal["permissive", "no_license", "non_permissive"]
VAGUE = frozenset({"LicenseRef-scancode-unknown-license-reference", "LicenseRef-All-Rights-Reserved"})

_INFO = re.compile(r"(?P<above>(.*/)?)[^/]+\.(dist|egg)-info/(licenses/)?(?P<inside>.*)", re.DOTALL)
_FORM = re.compile(r"(-only|-or-later|\+|-Perl|-cl8)$")
_BSD = re.compile(r"(LicenseRef-BSD|BSD-\d-Clause)$")
_LICENCE_FOLDERS = frozenset({"licenses", "licences", "license"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """A file's licence (an SPDX expression; None when nothing is known), the three-way type of The Stack v2, where each part was
    found, and the reason for which the policy drops the file (None when it is kept)."""

    licence: str | None
    licence_type: LicenceType
    evidence: str
    dropped: str | None


def judge(
    paths: Sequence[str],
    evidence: Iterable[Evidence],
    policy: Policy,
    repository_licence: str | None = None,
    keep_unlicensed: bool = False,
) -> list[Verdict]:
    """The verdict on each of `paths`, the files of one repository, from all its `evidence`.

    `repository_licence` is what the host of the repository says (SPDX, or `NOASSERTION`: one that the host does not know).
    `keep_unlicensed` keeps files of type `no_license` too, as The Stack v2 does.
    """
    repository = Propagation(paths, evidence)
    if repository_licence and repository_licence != "NOASSERTION":
        repository.at_root(repository_licence)
    known: dict[tuple[str, str], Verdict] = {}
    verdicts = []
    for path in paths:
        licence, places = repository.of(path)
        if (licence, places) not in known:
            known[licence, places] = _verdict(licence, places, policy, repository_licence == "NOASSERTION", keep_unlicensed)
        verdicts.append(known[licence, places])
    return verdicts


def _verdict(licence: str, places: str, policy: Policy, noassertion: bool, keep_unlicensed: bool) -> Verdict:
    if not licence:
        kind: LicenceType = "non_permissive" if noassertion else "no_license"
    else:
        standing = policy.standing(licence)
        kind = {"permissive": "permissive", "neutral": "no_license", "bad": "non_permissive"}[standing]  # type: ignore[assignment]
    kept = kind == "permissive" or (kind == "no_license" and keep_unlicensed)
    reason = None if kept else UNKNOWN_LICENCE if kind == "no_license" else OTHER_LICENCE
    return Verdict(licence or None, kind, places, reason)


@dataclass(frozen=True, slots=True)
class _Finding:
    """`expression` applies to everything below `folder` (`""` for the root, else ending in `/`), as `where` says."""

    folder: str
    where: str
    expression: str
    from_manifest: bool = False
    from_licence_file: bool = False

    @property
    def is_choice(self) -> bool:
        return offers_choice(self.expression)

    @property
    def licences(self) -> set[str]:
        """Its identifiers without the versions that may follow and the forms of the Artistic License; BSD is one."""
        return {_BSD.sub("BSD", _FORM.sub("", name)) for name in identifiers(self.expression)}


class Propagation:
    """What applies to the paths of one repository, from its evidence."""

    def __init__(self, paths: Iterable[str], evidence: Iterable[Evidence]) -> None:
        paths = list(paths)
        self._folders = _folders_of(paths)
        self._own: dict[str, list[Evidence]] = {}
        self._patterns: dict[tuple[str, str], list[tuple[re.Pattern[str], Evidence]]] = {}
        findings = []
        for item in evidence:
            if item.scope == "file":
                self._own.setdefault(item.path, []).append(item)
            elif item.scope == "folder":
                kinds = (_is_of_manifest(item), is_licence_file(item.path))
                findings.append(_Finding(self._covers(item.path), _where(item), item.expression, *kinds))
            else:
                folder, pattern = self._covers(item.path), matcher(item.patterns)
                if item.path.endswith("debian/copyright"):
                    self._patterns.setdefault((folder, ""), []).append((pattern, item))
                elif any(map(pattern.fullmatch, _inside(folder, paths))):
                    self._patterns.setdefault((folder, _where(item)), []).append((pattern, item))
                elif item.rule != "documentation":
                    findings.append(_Finding(folder, _where(item), item.expression))
        self._findings: dict[str, list[_Finding]] = {}
        for finding in _without_explained(sorted(findings, key=lambda finding: finding.where)):
            self._findings.setdefault(finding.folder, []).append(finding)
        self._cache: dict[str, list[_Finding]] = {}

    def at_root(self, expression: str) -> None:
        """Note what the repository's host says."""
        self._findings.setdefault("", []).insert(0, _Finding("", "the repository's host", expression))

    def of(self, path: str) -> tuple[str, str]:
        """Everything that applies to `path`, as one expression (empty: nothing), and where each part was found."""
        found = [(finding.expression, finding.where) for finding in self._above(path.rpartition("/")[0])]
        found += [(item.expression, _where(item)) for item in self._declared(path)]
        found += [(item.expression, f"own {item.rule}{_score(item)}") for item in self._own.get(path, ())]
        telling = _without_vague(list(dict.fromkeys(found)))
        places = dict.fromkeys(where for _, where in telling)
        return conjunction(expression for expression, _ in telling), "; ".join(places)

    def _above(self, folder: str) -> list[_Finding]:
        """What the files of `folder` and of all folders above it say, the root's first."""
        missing = []
        while folder and folder not in self._cache:
            missing.append(folder)
            folder = folder.rpartition("/")[0]
        found = self._cache[folder] if folder else self._findings.get("", [])
        for name in reversed(missing):
            found = self._cache[name] = found + self._findings.get(name + "/", [])
        return found

    def _declared(self, path: str) -> Iterable[Evidence]:
        """The last paragraph of each `debian/copyright` above that names the file, and all parts of licence files that do."""
        for (folder, _), paragraphs in self._patterns.items():
            for inside in _inside(folder, [path]):
                yield from [item for pattern, item in reversed(paragraphs) if pattern.fullmatch(inside)][:1]

    def _covers(self, path: str) -> str:
        """The folder that a licence file or manifest speaks for."""
        info = _INFO.fullmatch(path)
        if info is None:
            folder = path.rpartition("/")[0]
            parent, _, last = folder.rpartition("/")
            folder = parent if last.casefold() in _LICENCE_FOLDERS or last == "debian" else folder
            return folder + "/" if folder else ""
        above, inside = info["above"], info["inside"].rpartition("/")[0]
        for prefix in ("", "src/", "lib/"):
            folder = f"{above}{inside.removeprefix(prefix)}/"
            if inside.startswith(prefix) and inside and folder in self._folders:
                return folder
        return above


def _inside(folder: str, paths: Iterable[str]) -> Iterator[str]:
    """Those of `paths` that are below `folder`, as seen from there."""
    return (path.removeprefix(folder) for path in paths if path.startswith(folder))


def _folders_of(paths: Iterable[str]) -> set[str]:
    """All folders that hold `paths`, each with its `/`."""
    folders = {""}
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder + "/" not in folders:
            folders.add(folder + "/")
            folder = folder.rpartition("/")[0]
    return folders


def _without_explained(findings: list[_Finding]) -> list[_Finding]:
    """Leave out what a choice explains: beside a manifest with `MIT OR GPL-3.0-only` the texts of both, and so beside a README
    or the like that offers a choice, if a licence file there has a text for each side of it."""
    stated: dict[str, set[str]] = {}
    explained: dict[str, set[str]] = {}
    for finding in findings:
        if finding.from_licence_file and not finding.is_choice:
            stated.setdefault(finding.folder, set()).update(finding.licences)
    for finding in findings:
        if finding.is_choice and (finding.from_manifest or finding.licences <= stated.get(finding.folder, set())):
            explained.setdefault(finding.folder, set()).update(finding.licences)

    def needed(finding: _Finding) -> bool:
        return finding.is_choice or not finding.licences or not finding.licences <= explained.get(finding.folder, set())

    return [finding for finding in findings if needed(finding)]


def _without_vague(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Leave out what says less than something else: 'see the licence', and BSD without a number where one is told."""
    if any(expression not in VAGUE for expression, _ in found):
        found = [item for item in found if item[0] not in VAGUE]
    if any("BSD-" in expression.replace("LicenseRef-BSD", "") for expression, _ in found):
        found = [item for item in found if item[0] != "LicenseRef-BSD"]
    return found


def _is_of_manifest(item: Evidence) -> bool:
    return item.rule not in ("text", "notice", "choice", "spdx tag", "name", "vague")


def _where(item: Evidence) -> str:
    return f"{item.path}: {item.rule}{_score(item)}"


def _score(item: Evidence) -> str:
    return f" {item.score:.2f}" if item.rule == "text" else ""
