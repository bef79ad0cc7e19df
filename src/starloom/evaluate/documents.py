"""Draws from held-out documents, evenly over repositories: a large repository must not drown the others.

Knows nothing of what is drawn from a document, nor of where documents are kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Document(NamedTuple):
    """One held-out file; any `(repository, path, text)` will do."""

    repository: str
    path: str
    text: str


def balanced(
    documents: Iterable[tuple[str, str, str]], drawn: Callable[[Document, Random], Iterator[T]], *, seed: int | str
) -> Iterator[T]:
    """What `drawn` gives for each document: one item of each repository in turn, and of each of its files in turn.

    The order is random but the same for the same documents, however they are ordered, and the same `seed`.
    """
    repositories: dict[str, list[Document]] = defaultdict(list)
    for document in sorted(set(documents)):
        repositories[document[0]].append(Document(*document))
    names = _shuffled(sorted(repositories), Random(f"{seed}"))
    return _in_turn([_of_repository(repositories[name], drawn, f"{seed} {name}") for name in names])


def _of_repository(documents: list[Document], drawn: Callable[[Document, Random], Iterator[T]], seed: str) -> Iterator[T]:
    return _in_turn([drawn(document, Random(f"{seed} {document.path}")) for document in _shuffled(documents, Random(seed))])


def _shuffled(items: Sequence[T], random: Random) -> list[T]:
    return random.sample(items, len(items))


def _in_turn(sources: Iterable[Iterator[T]]) -> Iterator[T]:
    """One item of each source, then the next of each, until all are empty."""
    waiting = list(sources)
    while waiting:
        going = []
        for source in waiting:
            for item in source:
                yield item
                going.append(source)
                break
        waiting = going
