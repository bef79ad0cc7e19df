"""An engine over the fake core with a small vocabulary, and what it should write."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from fake_core import FakeCore, NoReuse

from starloom.contract import Contract, HeldBack, Prompt, Tokenizer
from starloom.engine import Engine
from starloom.engine.requests import Options
from starloom.engine.sampling import Sampler, Vocabulary

TEXT = "def area(width, height):\n    return width * height\n\n\nprint(area(2, 3))\n"
WIDE = 345  # rows of logits; five more than tokens


@cache
def contract() -> Contract:
    tokenizer = Tokenizer.train([TEXT * 3, __doc__ or ""], 340)
    return Contract(tokenizer)


def make_engine(core: FakeCore | None = None, **options: Any) -> Engine:
    return Engine(core or FakeCore(vocab_size=WIDE), contract(), **options)


def prompt(text: str = TEXT, suffix: str = "\n") -> Prompt:
    return contract().fill_in_prompt(text, suffix)


def forbidden(stops: Sequence[int] = ()) -> list[int]:
    tokenizer = contract().tokenizer
    return [*set(tokenizer.special_ids.values()) - set(stops), *range(tokenizer.vocab_size, WIDE)]


def written(core: FakeCore, asked: Prompt, count: int, index: int = 0, **options: Any) -> list[int]:
    """`count` tokens behind a prompt by recomputing everything at each, without stops."""
    truth, ids = NoReuse(core), list(asked.ids)
    sampler = Sampler(Options(**options), Vocabulary(WIDE, forbidden()), asked.ids, index)
    held = HeldBack(contract().tokenizer, asked.held_back)
    for _ in range(count):
        ids.append(sampler.choose(truth.logits(ids), held.allowed()))
        held.accept(ids[-1])
    return ids[len(asked.ids) :]


class Adversary:
    """Guesses what comes next, and wrongly from one place on; the place moves."""

    def __init__(self, right: Sequence[int], num_prompt: int) -> None:
        self._right, self._num_prompt, self._turn = [*right], num_prompt, 0
        self.told: list[tuple[int, int]] = []

    def guess(self, ids: Sequence[int], most: int) -> list[int]:
        self._turn += 1
        drawn = len(ids) - self._num_prompt
        assert [*ids[self._num_prompt :]] == self._right[:drawn]
        guessed = self._right[drawn : drawn + self._turn % 5]
        wrong = [(token + 1) % WIDE for token in self._right[drawn + len(guessed) :]]
        return [*guessed, *wrong, *[self._turn % WIDE] * 20][:most]

    def accept(self, offered: int, accepted: int) -> None:
        self.told.append((offered, accepted))
