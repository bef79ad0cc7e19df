"""Who holds which page of keys and values. Knows numbers alone: what is in a page is the core's, why it is kept `kv_tree`'s."""

from __future__ import annotations


class Pages:
    """Pages 0 to `count`, each free or held by one or more; who holds a page alone may write to it."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._holders = [0] * count
        self._free = list(range(count - 1, -1, -1))

    @property
    def num_free(self) -> int:
        """How many pages nobody holds."""
        return len(self._free)

    def holders(self, page: int) -> int:
        """How many hold `page`."""
        return self._holders[page]

    def take(self) -> int:
        """A free page, held once from now on; there must be one."""
        page = self._free.pop()
        self._holders[page] = 1
        return page

    def hold(self, page: int) -> None:
        """Hold a page that others hold too."""
        assert self._holders[page] > 0, page
        self._holders[page] += 1

    def release(self, page: int) -> None:
        """Hold it no longer; the last to do so makes it free."""
        assert self._holders[page] > 0, page
        self._holders[page] -= 1
        if self._holders[page] == 0:
            self._free.append(page)
