"""Which revision of which repository is read: the rules of The Stack v2 (specification §5.1) on Software Heritage's tables.

Origins on GitHub, their latest full visit, the default branch that GitHub Archive knows (else main, master or HEAD), its latest
git revision; of repositories with the same root directory one. Origins go through in `passes`, so memory is that of one pass
(about 500 bytes an origin), and every pass reads the tables once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from starloom.data.sources.heritage.facts import Facts
from starloom.data.sources.heritage.tables import Graph, rows_in
from starloom.data.sources.record import ReadSettings
from starloom.data.sources.spill import Groups

GITHUB = "https://github.com/"
FALLBACK_BRANCHES = frozenset({"HEAD", "refs/heads/main", "refs/heads/master"})

NO_BRANCH = "no default branch with a git revision"
SAME_TREE = "same tree as another repository"


@dataclass(frozen=True, slots=True)
class Root:
    """A chosen revision: `directory` is its root. Dates are ISO 8601 in UTC, empty when unknown."""

    repository: str
    directory: str
    revision: str
    branch: str
    date: str
    visit_date: str
    github_id: int | None
    stars: int
    forks: int
    licence: str | None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A repository that is not read, and why; `detail` names the one that is."""

    repository: str
    reason: str
    detail: str = ""


def select(graph: Graph, facts: dict[str, Facts], settings: ReadSettings, passes: int = 1) -> Iterator[Root | Rejected]:
    """The roots to read, and every other GitHub origin with a full visit. Raises `InputError`."""
    with Groups(settings) as groups:
        for place in range(passes):
            for root in _revisions(graph, _visits(graph, place, passes), facts):
                if isinstance(root, Rejected):
                    yield root
                else:
                    groups.add(root.directory, asdict(root))
        for _, values in groups:
            first, *others = sorted((Root(**value) for value in values), key=_rank)
            yield first
            yield from (Rejected(root.repository, SAME_TREE, first.repository) for root in others)


def _rank(root: Root) -> tuple[object, ...]:
    """Of equal trees the first stays (§5.1); the name makes the order total."""
    number = 2**63 if root.github_id is None else root.github_id
    dates = (root.date or "9", number, root.visit_date or "9")
    return (root.licence is None, root.licence or "", -root.stars, -root.forks, *dates, root.repository)


def _visits(graph: Graph, place: int, passes: int) -> dict[str, dict[str, Any]]:
    """The latest full visit by `owner/name`."""
    latest: dict[str, dict[str, Any]] = {}
    for table in graph.read("origin_visit_status", ("origin", "visit", "date", "status", "snapshot")):
        full = pc.and_(pc.starts_with(table["origin"], GITHUB), pc.equal(table["status"], "full"))
        for row in table.filter(pc.and_(full, pc.is_valid(table["snapshot"]))).to_pylist():
            name = _repository(row["origin"])
            if name and _part(name, passes) == place and row["visit"] > latest.get(name, {"visit": -1})["visit"]:
                latest[name] = row
    return latest


def _repository(origin: str) -> str | None:
    parts = origin.removeprefix(GITHUB).rstrip("/").removesuffix(".git").split("/")
    return "/".join(parts) if len(parts) == 2 and all(parts) else None


def _part(name: str, passes: int) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) % passes


def _revisions(graph: Graph, visits: dict[str, dict[str, Any]], facts: dict[str, Facts]) -> Iterator[Root | Rejected]:
    branches = _branches(graph, visits, facts)
    wanted = pa.array(sorted({target for found in branches.values() for target in found.values()}), pa.string())
    revisions: dict[str, dict[str, Any]] = {}
    for table in graph.read("revision", ("id", "date", "directory", "type")):
        rows = rows_in(table.filter(pc.equal(table["type"], "git")), "id", wanted)
        revisions |= {row["id"]: row for row in rows if row["directory"]}
    for name in sorted(visits):
        found = [
            (_date(revisions[target]["date"]), branch, target)
            for branch, target in branches.get(name, {}).items()
            if target in revisions
        ]
        if not found:
            yield Rejected(name, NO_BRANCH)
            continue
        date, branch, target = max(found)
        known = facts.get(name.lower(), Facts())
        yield Root(
            name,
            revisions[target]["directory"],
            target,
            branch,
            date,
            _date(visits[name]["date"]),
            known.github_id,
            known.stars,
            known.forks,
            known.licence,
        )


def _branches(graph: Graph, visits: dict[str, dict[str, Any]], facts: dict[str, Facts]) -> dict[str, dict[str, str]]:
    """The candidate branches of each repository with the revisions that they name."""
    names: dict[str, list[str]] = {}
    for name, visit in visits.items():
        names.setdefault(visit["snapshot"], []).append(name)
    wanted = pa.array(sorted(names), pa.string())
    found: dict[str, dict[str, str]] = {}
    for table in graph.read("snapshot_branch", ("snapshot_id", "name", "target", "target_type")):
        for row in rows_in(table.filter(pc.equal(table["target_type"], "revision")), "snapshot_id", wanted):
            branch = row["name"].decode("utf-8", "replace")
            for name in names[row["snapshot_id"]]:
                default = facts.get(name.lower(), Facts()).branch
                if branch in (FALLBACK_BRANCHES if default is None else {f"refs/heads/{default}"}):
                    found.setdefault(name, {})[branch] = row["target"]
    return found


def _date(value: datetime | None) -> str:
    """ISO 8601 in UTC; empty for a date that is missing or beyond Python's calendar."""
    if value is None:
        return ""
    moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
