"""Any interleaving of texts, edits, forks and evictions under a tiny budget against recomputation."""

from __future__ import annotations

import numpy as np
from fake_core import FakeCore, NoReuse
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from starloom.engine.core import PAGE, Part
from starloom.engine.sequences import PageStore, Stored


class Text:
    """A text that is being stored, and whether all its logits so far were right."""

    def __init__(self, ids: list[int], stored: Stored) -> None:
        self.ids, self.stored = ids, stored


class Reuse(RuleBasedStateMachine):
    texts = Bundle("texts")

    @initialize(window=st.sampled_from([None, 5, 40, 100]), num_pages=st.integers(8, 16))
    def begin(self, window: int | None, num_pages: int) -> None:
        self.core = FakeCore(num_pages=num_pages, window=window, vocab_size=16)
        self.truth, self.store = NoReuse(self.core), PageStore(self.core)
        self.known: list[list[int]] = [[1]]
        self.live: list[Text] = []

    @rule(target=texts, choice=st.data())
    def start(self, choice: st.DataObject) -> object:
        """A text that shares its beginning with an earlier one, and perhaps what follows after an edit."""
        earlier = choice.draw(st.sampled_from(self.known))
        cut = choice.draw(st.integers(0, len(earlier)))
        new = choice.draw(st.integers(0, 3)) * [choice.draw(st.integers(0, 15))]
        more = choice.draw(st.sampled_from([0, 1, 30, 31, 32, 33, 64, 90]))
        ids = [*earlier[:cut], *new, *earlier[cut : cut + more], *range(more % 16), 7][:150]
        self.known = [*self.known[-5:], ids]
        stored = Stored(self.store, len(ids) + 40)
        stored.reuse(ids, len(ids) - 1)
        assert stored.length < len(ids)
        text = Text(ids, stored)
        self.live.append(text)
        return text

    @rule(text=texts, count=st.integers(1, 70), keep=st.booleans())
    def run(self, text: Text, count: int, keep: bool) -> None:
        """The next positions, and their logits against those of the whole text."""
        ids = text.ids[text.stored.length :][:count]
        if not ids or not text.stored.reserve(len(ids)):
            return
        logits = self.core.step([Part(ids, text.stored.length, text.stored.part_table(len(ids)), 1)])
        end = text.stored.length + len(ids)
        assert np.array_equal(logits[-1], self.truth.logits(text.ids[:end]))
        text.stored.advance(len(ids))
        if keep:
            text.stored.keep(text.ids)

    @rule(text=texts, guess=st.lists(st.integers(0, 15), min_size=1, max_size=40), right=st.integers(0, 40))
    def guess(self, text: Text, guess: list[int], right: int) -> None:
        """Rows that do not hold are run, and the sequence goes back."""
        if text.stored.length + len(guess) > len(text.ids) + 40 or not text.stored.reserve(len(guess)):
            return
        right = min(right, len(guess))
        guess = [*text.ids[text.stored.length :][:right], *guess][: len(guess)]
        self.core.step([Part(guess, text.stored.length, text.stored.part_table(len(guess)), len(guess))])
        text.stored.advance(min(right, len(text.ids) - text.stored.length))

    @rule(target=texts, text=texts, more=st.lists(st.integers(0, 15), max_size=3))
    def fork(self, text: Text, more: list[int]) -> object:
        other = text.stored.fork()
        if other is None:
            return multiple()
        copy = Text([*text.ids[: text.stored.length], *more, *text.ids[text.stored.length + len(more) :]], other)
        self.live.append(copy)
        return copy

    @rule(text=consumes(texts), keep=st.booleans())
    def end(self, text: Text, keep: bool) -> None:
        if text in self.live:
            self.live.remove(text)
            text.stored.end(text.ids) if keep else text.stored.drop()

    @rule(count=st.integers(1, 4))
    def evict(self, count: int) -> None:
        self.store.tree.make_room(self.store.pages.num_free + count)

    @invariant()
    def no_page_leaks_and_own_pages_are_own(self) -> None:
        if not hasattr(self, "store"):
            return
        expected = np.zeros(self.core.num_pages, int)
        for page in self.store.tree._node_of:
            expected[page] += 1
        for text in self.live:
            held = text.stored.table[text.stored.table >= 0]
            np.add.at(expected, held, 1)
            for page in text.stored.table[text.stored.length // PAGE :]:
                assert page < 0 or self.store.pages.holders(int(page)) == 1, "a page that may be written is shared"
        assert [self.store.pages.holders(page) for page in range(self.core.num_pages)] == expected.tolist()
        assert self.store.pages.num_free == (expected == 0).sum()

    @invariant()
    def nodes_lead_to_pages(self) -> None:
        if not hasattr(self, "store"):
            return
        waiting, found = [self.store.tree._root], set()
        while waiting:
            node = waiting.pop()
            waiting += node.children.values()
            assert node.children or node.page is not None or node.parent is None
            assert len(node.ids) == PAGE or not node.children or node.parent is None
            found |= {node.page} - {None}
        assert found == self.store.tree._node_of.keys()

    def teardown(self) -> None:
        for text in getattr(self, "live", []):
            text.stored.end(text.ids)
        if hasattr(self, "store"):
            self.store.tree.make_room(self.core.num_pages)
            assert self.store.pages.num_free == self.core.num_pages


TestReuse = Reuse.TestCase
TestReuse.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def stored(store: PageStore, ids: list[int]) -> None:
    """Run a text to its end and keep it."""
    text = Stored(store, len(ids))
    text.reuse(ids, len(ids) - 1)
    assert text.reserve(len(ids) - text.length)
    store.core.step([Part(ids[text.length :], text.length, text.part_table(len(ids) - text.length), 1)])
    text.advance(len(ids) - text.length)
    text.end(ids)


def reused(store: PageStore, ids: list[int]) -> int:
    text = Stored(store, len(ids) + 1)
    text.reuse(ids, len(ids))
    text.drop()
    return text.reused


def test_what_texts_share_is_found_to_the_token() -> None:
    store = PageStore(FakeCore())
    stored(store, [*range(50)])
    assert reused(store, [*range(50), 1]) == 50
    assert reused(store, [*range(41), 1, 2]) == 41
    assert reused(store, [*range(20), 1, 2]) == 20
    assert reused(store, [1, *range(50)]) == 0
    stored(store, [*range(60)])
    assert store.tree.num_pages == 2
    assert reused(store, [*range(60)]) == 60


def test_the_least_recently_used_goes_first_ends_before_beginnings() -> None:
    store = PageStore(FakeCore(num_pages=6))
    first, second = [*range(60)], [*range(10, 60), 0, 0]
    stored(store, first)
    stored(store, second)
    assert reused(store, first) == 60
    store.tree.make_room(3)
    assert (reused(store, second), reused(store, first)) == (32, 60)
    store.tree.make_room(5)
    assert (reused(store, second), reused(store, first)) == (0, 32)


def test_pages_that_the_window_has_passed_are_free_and_need_not_be_there() -> None:
    core = FakeCore(num_pages=5, window=40)
    store, ids = PageStore(core), [place % 50 for place in range(1000)]
    text = Stored(store, len(ids))
    while text.length < len(ids):
        assert text.reserve(8)
        core.step([Part(ids[text.length : text.length + 8], text.length, text.part_table(8), 1)])
        text.advance(8)
        text.keep(ids)
    text.end(ids)
    assert reused(store, ids) == 1000
    assert reused(store, ids[:990]) == 990
    assert reused(store, ids[:500]) == 0
