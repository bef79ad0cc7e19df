"""Our engine, asked as a peer is: token ids in, so many tokens out."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from peers.answers import Answer

from starloom.contract import Prompt
from starloom.engine import Engine


class OurEngine:
    """An open engine. Each request may come from a thread of its own."""

    def __init__(self, engine: Engine, guesses: bool) -> None:
        self.engine, self._guesses = engine, guesses

    @classmethod
    @contextlib.contextmanager
    def start(cls, model: Path, *, threads: int, guesses: bool) -> Iterator[OurEngine]:
        """Open `model`; without `guesses` every token is computed for itself."""
        with Engine.open(model, threads=threads) as engine:
            yield cls(engine, guesses)

    def complete(self, ids: Sequence[int], new: int) -> Answer:
        """Exactly `new` tokens, greedily."""
        began = time.perf_counter()
        done = self.engine.generate(Prompt([*ids]), max_tokens=new, stops=(), speculate=self._guesses)
        return Answer(done.ids, done.prompt_tokens - done.reused_tokens, time.perf_counter() - began)
