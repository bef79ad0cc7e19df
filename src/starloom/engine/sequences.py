"""The stored positions of one text: which page each lies in, shared with others or its own.

Pages are shared up to where texts part; from there on a sequence writes to pages that nobody else holds. Knows tokens only to
find and to keep pages by them; knows no requests.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from starloom.engine.core import PAGE, Core
from starloom.engine.kv_tree import KVTree, first_seen
from starloom.engine.pages import Pages


class PageStore:
    """A core's pages: those of running sequences and those kept for reuse."""

    def __init__(self, core: Core) -> None:
        self.core, self.window = core, core.window
        self.pages = Pages(core.num_pages)
        self.tree = KVTree(self.pages, core.window)

    def take(self, count: int) -> list[int] | None:
        """`count` pages, all or none."""
        self.tree.make_room(count)
        return [self.pages.take() for _ in range(count)] if self.pages.num_free >= count else None


class Stored:
    """`length` positions of a text that are in pages; `table` names them, for at most `capacity` positions."""

    def __init__(self, store: PageStore, capacity: int) -> None:
        self._store = store
        self.length, self.reused = 0, 0
        self.table = np.full(-(-capacity // PAGE), -1, np.int32)
        self._first, self._end = 0, 0  # pages that are held

    def reuse(self, ids: Sequence[int], most: int) -> None:
        """Begin with what is kept of `ids`, at most `most` positions."""
        assert self._end == 0
        match, pages = self._store.tree.match(ids, most), self._store.pages
        self._first, self._end = sum(page is None for page in match.pages), len(match.pages)
        for place, page in enumerate(match.pages):
            if page is not None:
                self.table[place] = page
                pages.hold(page)
        self.length = match.length
        if self.length % PAGE and not self._own_last():
            self.drop()
            self.reuse(ids, match.length // PAGE * PAGE)
        self.reused = self.length

    def reserve(self, count: int) -> bool:
        """Make sure that `count` more positions have pages; whether there were enough."""
        wanted = -(-(self.length + count) // PAGE)
        if wanted > self._end:
            found = self._store.take(wanted - self._end)
            if found is None:
                return False
            self.table[self._end : wanted] = found
            self._end = wanted
        return True

    def advance(self, count: int) -> None:
        """`count` more positions were written and hold; gives back the pages that the window has passed."""
        self.length += count
        assert self.length <= self._end * PAGE
        first = min(first_seen(self.length, self._store.window) // PAGE, self._end)
        while self._first < first:
            self._give_back(self._first)
            self._first += 1

    def keep(self, ids: Sequence[int]) -> None:
        """Let others find the filled pages; `ids` are the text's tokens."""
        self._store.tree.keep(ids, self.length, self.table, ended=False)

    def fork(self) -> Stored | None:
        """Another sequence with the same positions, or None when there is no page for its copy of the last one."""
        other = Stored(self._store, len(self.table) * PAGE)
        other.length, other.reused = self.length, self.reused
        other._first, other._end = self._first, -(-self.length // PAGE)
        other.table[: other._end] = self.table[: other._end]
        for page in other.table[other._first : other._end]:
            self._store.pages.hold(int(page))
        if self.length % PAGE and not other._own_last():
            other.drop()
            return None
        return other

    def end(self, ids: Sequence[int]) -> None:
        """Hold nothing any more, but keep what is stored for reuse."""
        self._store.tree.keep(ids, self.length, self.table, ended=True)
        self.drop()

    def drop(self) -> None:
        """Hold nothing any more."""
        for place in range(self._first, self._end):
            self._give_back(place)
        self.length, self._first, self._end = 0, 0, 0

    def part_table(self, count: int) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
        """The table for a step over the next `count` positions."""
        return self.table[: -(-(self.length + count) // PAGE)]

    def _own_last(self) -> bool:
        """Put a copy in the place of the last page, which is held with others; False when there is no page for it."""
        found = self._store.take(1)
        if found is None:
            return False
        last = int(self.table[self._end - 1])
        self._store.core.copy_page(last, found[0])
        self._store.pages.release(last)
        self.table[self._end - 1] = found[0]
        return True

    def _give_back(self, place: int) -> None:
        self._store.pages.release(int(self.table[place]))
        self.table[place] = -1
