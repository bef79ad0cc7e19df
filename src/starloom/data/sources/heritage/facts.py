"""What GitHub Archive says about repositories: number, stars, forks, licence, default branch, by name (specification §5.1).

Stars and forks are counts of their events; licence and branch are those of the newest event that shows them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from starloom.data.sources.github.events import Event, Problem, at, number_at, read_events, text_at


@dataclass(slots=True)
class Facts:
    """One repository. `licence` is an SPDX id, NOASSERTION when GitHub found a licence that it could not name."""

    github_id: int | None = None
    stars: int = 0
    forks: int = 0
    licence: str | None = None
    branch: str | None = None
    date: str = ""


def read_facts(url: str) -> tuple[dict[str, Facts], list[Problem]]:
    """Facts by `owner/name` in lower case, and what of the events could not be read. About 500 bytes a repository."""
    facts: dict[str, Facts] = {}
    problems = []
    for event in read_events(url):
        if isinstance(event, Problem):
            problems.append(event)
            continue
        for repository in _shown(event):
            _learn(facts.setdefault(text_at(repository, "full_name").lower(), Facts()), repository, event.date)
        name = event.repository.lower()
        if event.type == "WatchEvent":
            facts.setdefault(name, Facts()).stars += 1
        elif event.type == "ForkEvent":
            facts.setdefault(name, Facts()).forks += 1
    return facts, problems


def _learn(facts: Facts, repository: object, date: str) -> None:
    if date >= facts.date:
        facts.date = date
        facts.github_id = number_at(repository, "id")
        facts.licence = text_at(repository, "license", "spdx_id") or None
        facts.branch = text_at(repository, "default_branch") or None


def _shown(event: Event) -> Iterator[object]:
    """The descriptions of repositories that an event holds: the base of a pull request, a new fork."""
    if event.type == "PullRequestEvent":
        yield at(event.payload, "pull_request", "base", "repo")
    elif event.type == "ForkEvent":
        yield at(event.payload, "forkee")
