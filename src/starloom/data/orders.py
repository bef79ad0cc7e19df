"""In which order the files of a repository follow each other in its training sequence.

    random     in no order (StarCoder 2 paper, section 5.1)
    path       files that are near each other in the tree of folders stand together
    imports    a file behind the files that it imports, else by path

Everything random comes from the seed, the name of the repository and the path, so an order depends neither on the order in which
the files were read nor on the other repositories. Knows neither texts nor tokens; imports are given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias, get_args

from starloom.core.errors import SettingsError

MAX_DEPTH = 64
"""Folders below the 64th level are not told apart."""

FileOrder: TypeAlias = Literal["random", "path", "imports"]


def check_file_order(order: str) -> None:
    """Raise `SettingsError` when there is no such order."""
    if order not in get_args(FileOrder):
        raise SettingsError(f"order is {order!r}; it must be one of {', '.join(map(repr, get_args(FileOrder)))}")


def draw(*parts: object) -> int:
    """A number below 2^64 that depends on nothing but these parts: the hash that everything random here comes from."""
    text = "\0".join(map(str, parts)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def order_files(
    repository: str, paths: Sequence[str], order: FileOrder, seed: int, imports: Mapping[str, Sequence[str]] | None = None
) -> list[int]:
    """The places of `paths` in the order asked for. Paths are distinct; `imports` is only for the order of that name.

    Raises `SettingsError` for an unknown order.
    """
    check_file_order(order)
    if order == "random":
        return sorted(range(len(paths)), key=lambda place: (draw(seed, repository, paths[place]), paths[place]))
    near = sorted(range(len(paths)), key=lambda place: _walk_key(repository, paths[place], seed))
    return near if order == "path" else _behind_imports(near, paths, imports or {})


def _walk_key(repository: str, path: str, seed: int) -> list[tuple[int, str]]:
    """Sorts as a walk through the tree of folders, the entries of each folder in random order.

    Distances in a tree are shortest in total along such a walk: each folder's files are read before it is left.
    """
    parts = path.split("/", MAX_DEPTH)
    return [(draw(seed, repository, "/".join(parts[: depth + 1])), part) for depth, part in enumerate(parts)]


def _behind_imports(near: Sequence[int], paths: Sequence[str], imports: Mapping[str, Sequence[str]]) -> list[int]:
    """Files in post-order of their imports: depth first, beginning with the first of `near`, imports in their order too.

    Where imports run in a circle, the one that leads back to a file which is waiting already is left out.
    """
    place_of = {path: place for place, path in enumerate(paths)}
    rank = {place: number for number, place in enumerate(near)}

    def targets(place: int) -> list[int]:
        found = {place_of[path] for path in imports.get(paths[place], ()) if path in place_of}
        return sorted(found, key=rank.__getitem__, reverse=True)

    done: list[int] = []
    seen: set[int] = set()
    for start in near:
        waiting = [] if start in seen else [(start, targets(start))]
        seen.add(start)
        while waiting:
            place, left = waiting[-1]
            while left and left[-1] in seen:
                left.pop()
            if left:
                seen.add(left[-1])
                waiting.append((left[-1], targets(left.pop())))
            else:
                done.append(place)
                waiting.pop()
    return done
