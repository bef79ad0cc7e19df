"""Pages of keys and values that outlive their request, found again by the tokens before and in them.

A radix tree whose nodes are pages: the way from the root to a node spells the tokens of all positions up to its end. A node holds
a whole page's tokens, or fewer where a text ended. What a text shares with an earlier one may end within a page: that page is
then copied by who goes on from there. When room is needed, the pages used longest ago go first, ends before what they follow.
Positions that the sliding window has passed need no page: their nodes may stay without one.

Only positions whose tokens are settled are put here, and a page is never written to while it is here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from starloom.engine.core import PAGE
from starloom.engine.pages import Pages

Table = npt.NDArray[np.int32]


class Node:
    """The tokens of one page's positions; `page` is None where the page was given back."""

    __slots__ = ("children", "depth", "ids", "page", "parent", "used")

    def __init__(self, ids: tuple[int, ...], parent: Node | None) -> None:
        self.ids, self.parent = ids, parent
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.page: int | None = None
        self.used = 0
        self.children: dict[tuple[int, ...], Node] = {}


@dataclass(frozen=True)
class Match:
    """The first `length` positions of a text are in `pages`, the last of them perhaps in part.

    `pages` has None where the window has passed for all positions from `length` on.
    """

    length: int
    pages: list[int | None]


def first_seen(position: int, window: int | None) -> int:
    """The first position whose keys a query at `position` sees."""
    return 0 if window is None else max(0, position - window + 1)


class KVTree:
    """The pages kept for reuse. `pages` counts them among its holders; everything is in memory and bounded by its size."""

    def __init__(self, pages: Pages, window: int | None) -> None:
        self._pages, self._window = pages, window
        self._root = Node((), None)
        self._node_of: dict[int, Node] = {}  # by page
        self._clock = 0

    @property
    def num_pages(self) -> int:
        """How many pages are kept, those that running requests hold too among them."""
        return len(self._node_of)

    def match(self, ids: Sequence[int], most: int) -> Match:
        """The longest usable beginning of `ids` of at most `most` positions. Its pages are not held by that."""
        path, length = self._longest(ids, most)
        length = self._usable(path, length)
        path = path[: -(-length // PAGE)]
        first = first_seen(length, self._window) // PAGE
        self._touch(path[first:])
        return Match(length, [node.page if place >= first else None for place, node in enumerate(path)])

    def keep(self, ids: Sequence[int], length: int, table: Table, *, ended: bool) -> None:
        """Keep the pages of the first `length` positions of `ids` that are not here yet; the last, unfilled one if `ended`.

        `table[i]` is the page of positions [32 i, 32 i + 32) or -1.
        """
        self._clock += 1
        node, path = self._root, []
        for place in range(length // PAGE):
            key = tuple(ids[place * PAGE : (place + 1) * PAGE])
            node = node.children.get(key) or self._add(node, key)
            path.append(node)
            self._fill(node, int(table[place]))
        rest = tuple(ids[len(path) * PAGE : length])
        if ended and rest and not any(_begins(child.ids, rest) and child.page is not None for child in node.children.values()):
            node = node.children.get(rest) or self._add(node, rest)
            self._fill(node, int(table[len(path)]))
        self._prune(node)

    def make_room(self, count: int) -> None:
        """Give back pages that nobody else holds until `count` are free, as far as there are such pages."""
        missing = count - self._pages.num_free
        if missing <= 0:
            return
        idle = [node for page, node in self._node_of.items() if self._pages.holders(page) == 1]
        idle.sort(key=lambda node: (node.used, -node.depth))
        for node in idle[: max(missing, self._pages.count // 64)]:  # several at once: looking for them costs more than one page
            self._give_back(node)
            self._prune(node)

    def _longest(self, ids: Sequence[int], most: int) -> tuple[list[Node], int]:
        """The nodes along `ids` and how many positions they share with it; holes are not looked at."""
        node, path, length = self._root, list[Node](), 0
        while length < most:
            key = tuple(ids[length : length + PAGE])
            child = node.children.get(key)
            if child is None or len(key) < PAGE:
                nearest = max(
                    (other for other in node.children.values() if other.page is not None),
                    key=lambda other: _shared(other.ids, key),
                    default=None,
                )
                if nearest and (shared := _shared(nearest.ids, key)):
                    path.append(nearest)
                    length += shared
                break
            path.append(child)
            length += PAGE
            node = child
        return path, min(length, most)

    def _usable(self, path: list[Node], length: int) -> int:
        """The most positions for which all pages are there that the position behind them sees."""
        while length:
            first, last = first_seen(length, self._window) // PAGE, (length - 1) // PAGE
            hole = next((place for place in range(last, first - 1, -1) if path[place].page is None), None)
            if hole is None:
                return length
            length = hole * PAGE
        return 0

    def _touch(self, nodes: list[Node]) -> None:
        self._clock += 1
        for node in nodes:
            node.used = self._clock

    def _add(self, parent: Node, ids: tuple[int, ...]) -> Node:
        """A new child, in place of unfilled ones that it goes on from."""
        for other in [child for child in parent.children.values() if _begins(ids, child.ids)]:
            if other.page is not None:
                self._give_back(other)
            del parent.children[other.ids]
        node = parent.children[ids] = Node(ids, parent)
        return node

    def _fill(self, node: Node, page: int) -> None:
        if page < 0:
            return
        if node.page is None:
            self._pages.hold(page)
            node.page = page
            self._node_of[page] = node
        node.used = self._clock

    def _give_back(self, node: Node) -> None:
        assert node.page is not None
        del self._node_of[node.page]
        self._pages.release(node.page)
        node.page = None

    def _prune(self, node: Node) -> None:
        """Remove a node that leads to no page, and those before it."""
        while node.parent is not None and node.page is None and not node.children:
            if node.parent.children.get(node.ids) is node:
                del node.parent.children[node.ids]
            node = node.parent


def _begins(ids: tuple[int, ...], start: tuple[int, ...]) -> bool:
    return ids[: len(start)] == start


def _shared(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """How many tokens both begin with."""
    return next((place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
