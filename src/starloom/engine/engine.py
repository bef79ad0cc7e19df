"""The engine: a model that completes prompts and scores texts, many at once, from any thread or event loop.

Joins contract, core, scheduling, sampling and speculation. Deliberately makes no prompt shorter, except in `complete`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import queue
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from starloom.contract import Contract, Prompt, embedded_model
from starloom.contract.fitting import fitted_prompt
from starloom.core import settings
from starloom.core.errors import InputError, MismatchError, SettingsError
from starloom.engine.answers import AnswerGuesser, Answers
from starloom.engine.core import Core
from starloom.engine.generation import Generation, Group
from starloom.engine.layouts import Kind
from starloom.engine.requests import Completion, Event, Options, Piece, Request, Scores
from starloom.engine.sampling import Vocabulary, check_count
from starloom.engine.scheduler import Limits, Scheduler
from starloom.engine.scoring import Scoring
from starloom.engine.speculation import Guesser, Speculation
from starloom.engine.statistics import Stats
from starloom.engine.worker import Worker

Filter = Callable[[Callable[[Event], None]], Callable[[Event], None]]


class Engine:
    """A model, ready to complete. Close it, or use it as a context manager; all methods may be called from any thread.

    `limits` bound steps, `most_waiting` the requests that wait for their turn. Raises `MismatchError` when the contract is not
    the model's.
    """

    def __init__(self, core: Core, contract: Contract, *, limits: Limits | None = None, most_waiting: int = 256) -> None:
        if contract.tokenizer.vocab_size > core.vocab_size:
            raise MismatchError(f"the tokenizer has {contract.tokenizer.vocab_size} tokens, the model only {core.vocab_size}")
        check_count("most_waiting", most_waiting, 1, "a whole number from 1 on")
        self.contract = contract
        self._core, self._scheduler = core, Scheduler(core, limits or Limits())
        self._worker = Worker(self._scheduler, most_waiting)
        self._speculation, self._answers = Speculation(), Answers(contract.tokenizer)
        self._vocabularies: dict[frozenset[int], Vocabulary] = {}
        self._num_requests = 0
        self._closing = weakref.finalize(self, self._worker.close)

    @classmethod
    def open(
        cls,
        path: str | Path | None = None,
        *,
        quant: Kind | None = None,
        threads: int | None = None,
        memory: int | None = None,
        wide: bool = False,
        limits: Limits | None = None,
        most_waiting: int = 256,
    ) -> Self:
        """Open the model at `path`, a Hugging Face directory or a GGUF file; without one the embedded model.

        `quant` rounds the weights when they are loaded (None: as they are), `threads` is how many compute (None: one a core),
        `memory` the bytes for keys and values, which are held in float32 if `wide`. Raises `InputError`, `FormatError`,
        `MismatchError` and `SettingsError`.
        """
        from starloom.engine.native_core import NativeCore  # the native module is loaded when a model is, not with the package
        from starloom.engine.packed import open_packed

        path = embedded_model() if path is None else Path(path)
        contract = Contract.of(path)
        core = NativeCore(open_packed(path, quant), threads=threads, memory=memory, wide=wide)
        return cls(core, contract, limits=limits, most_waiting=most_waiting)

    # Completions

    def generate(self, prompt: Prompt, **options: Any) -> Completion:
        """Complete `prompt`; `options` are the fields of `Options`, of which `n` is 1: the best of `best_of` comes back.

        Raises `SettingsError`, `InputError` (prompt and completion do not fit), `BusyError`, `EngineError`.
        """
        return self.generate_many(prompt, **options, n=_one(options))[0]

    def generate_many(self, prompt: Prompt, **options: Any) -> list[Completion]:
        """`n` completions of `prompt`, in order of their index, or of their likelihood with `best_of`; see `generate`."""
        return _completions(self._stream(prompt, options, _when_whole))

    def stream(self, prompt: Prompt, **options: Any) -> Iterator[Piece]:
        """Complete `prompt`: pieces of text as they come, whole characters each; the last of each index has its completion.

        Whoever stops listening cancels. Raises as `generate`, at once.
        """
        return self._stream(prompt, options)

    async def agenerate(self, prompt: Prompt, **options: Any) -> Completion:
        """`generate` for event loops; cancelled with the task that waits for it."""
        return (await self.agenerate_many(prompt, **options, n=_one(options)))[0]

    async def agenerate_many(self, prompt: Prompt, **options: Any) -> list[Completion]:
        """`generate_many` for event loops."""
        return _completions([piece async for piece in self._astream(prompt, options, _when_whole)])

    def astream(self, prompt: Prompt, **options: Any) -> AsyncIterator[Piece]:
        """`stream` for event loops."""
        return self._astream(prompt, options)

    def _stream(self, prompt: Prompt, options: dict[str, Any], only: Filter = lambda listen: listen) -> Iterator[Piece]:
        chosen, events = _options(options), queue.SimpleQueue[Event]()
        request = self._submit(prompt, chosen, only(events.put))
        return _pieces(events.get, request, chosen.n)

    async def _astream(
        self, prompt: Prompt, options: dict[str, Any], only: Filter = lambda listen: listen
    ) -> AsyncIterator[Piece]:
        chosen, events = _options(options), asyncio.Queue[Event]()
        request = self._submit(prompt, chosen, only(_to_loop(events)))
        waiting = chosen.n
        try:
            while waiting:
                piece = _piece(await events.get())
                waiting -= piece.completion is not None
                yield piece
        finally:
            request.cancel()

    def complete(self, prefix: str | bytes, suffix: str | bytes = b"", **options: Any) -> Completion:
        """Fill in between `prefix` and `suffix`, of which what is nearest to the cursor is shown to the model; see `generate`."""
        return self.generate(self.prompt_for(prefix, suffix, _options(options).max_tokens), **options)

    async def acomplete(self, prefix: str | bytes, suffix: str | bytes = b"", **options: Any) -> Completion:
        """`complete` for event loops."""
        return await self.agenerate(self.prompt_for(prefix, suffix, _options(options).max_tokens), **options)

    def prompt_for(self, prefix: str | bytes, suffix: str | bytes, max_tokens: int) -> Prompt:
        """The prompt of `complete`: as much text as leaves room for `max_tokens`. Raises `InputError`."""
        before, after = (text.encode(errors="surrogateescape") if isinstance(text, str) else text for text in (prefix, suffix))
        return fitted_prompt(self.contract, before, after, room=self._core.max_positions - max_tokens)

    # Scores

    def score(self, text: str | bytes | Sequence[int], context: Sequence[int] = (), *, alternatives: int = 0) -> Scores:
        """The log-probabilities of the tokens of `text` behind `context`, with the likeliest `alternatives` at each place.

        Raises `SettingsError`, `InputError`, `BusyError`, `EngineError`.
        """
        events = queue.SimpleQueue[Event]()
        self._submit_scoring(text, context, alternatives, events.put)
        return _scores(events.get())

    async def ascore(self, text: str | bytes | Sequence[int], context: Sequence[int] = (), *, alternatives: int = 0) -> Scores:
        """`score` for event loops."""
        events = asyncio.Queue[Event]()
        request = self._submit_scoring(text, context, alternatives, _to_loop(events))
        try:
            return _scores(await events.get())
        finally:
            request.cancel()

    # The rest

    def learn(self, text: str | bytes | Sequence[int]) -> None:
        """Take in a text that completions may repeat, such as an open file: guesses come from it, results do not change."""
        self._speculation.learn(self._ids(text))

    def stats(self) -> Stats:
        """What was done since the start, and what is held."""
        return dataclasses.replace(self._scheduler.stats, requests=self._num_requests)

    @property
    def max_positions(self) -> int:
        """The most tokens of a prompt and its completion."""
        return self._core.max_positions

    def close(self) -> None:
        """End; requests that run raise `EngineError`."""
        self._closing()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _submit(self, prompt: Prompt, options: Options, listen: Callable[[Event], None]) -> Request:
        capacity = len(prompt.ids) + len(prompt.held_back) + options.max_tokens
        what = f"a prompt of {len(prompt.ids)} tokens and {options.max_tokens} new ones do"
        self._check(prompt.ids, capacity, what)
        request = Request(listen, priority=options.priority, deadline=options.deadline)
        group = Group(request, options, lambda completion: self._remember(prompt, completion))
        stops = frozenset(self.contract.stops if options.stops is None else options.stops)
        vocabulary = self._vocabulary(stops)
        rest = self._answers.rest(prompt) if options.speculate else []
        first, *others = (
            Generation(
                *(group, prompt, vocabulary, self.contract.tokenizer, stops),
                self._guesser(len(prompt.ids), rest) if options.speculate else None,
                index,
            )
            for index in range(options.num_completions)
        )
        first.others = [*others]
        self._worker.submit([first])
        self._num_requests += 1
        return request

    def _submit_scoring(
        self, text: str | bytes | Sequence[int], context: Sequence[int], alternatives: int, listen: Callable[[Event], None]
    ) -> Request:
        check_count("alternatives", alternatives, 0, "a whole number from 0 on")
        ids = [*context, *self._ids(text)]
        self._check(ids, len(ids), f"a text of {len(ids)} tokens, its context among them, does")
        request = Request(listen)
        if len(ids) == len(context) or len(ids) == 1:
            num_scored = len(ids) - len(context)
            listen(Scores(ids[len(context) :], [None] * num_scored, [[] for _ in range(num_scored)]))
        else:
            self._worker.submit([Scoring(request, ids, len(context), alternatives)])
            self._num_requests += 1
        return request

    def _check(self, ids: Sequence[int], capacity: int, what: str) -> None:
        if not ids:
            raise InputError("the prompt is empty; it must hold at least one token")
        if unknown := [token for token in ids if not 0 <= token < self._core.vocab_size]:
            raise MismatchError(f"the prompt holds the id {unknown[0]}; the model knows 0 to {self._core.vocab_size - 1}")
        if capacity > self._core.max_positions:
            raise InputError(f"{what} not fit into {self._core.max_positions} positions")
        if (needed := self._scheduler.needed_pages(capacity)) > self._core.num_pages:
            raise InputError(
                f"{what} not fit into the memory for keys and values: {needed} pages are needed, there are "
                f"{self._core.num_pages}; open the model with more 'memory'"
            )

    def _vocabulary(self, stops: frozenset[int]) -> Vocabulary:
        """Never chosen are special tokens that stop nothing, and rows beyond the tokenizer's ids."""
        if stops not in self._vocabularies:
            if unknown := [token for token in stops if not 0 <= token < self._core.vocab_size]:
                raise SettingsError(f"stops holds the id {unknown[0]}; the model knows 0 to {self._core.vocab_size - 1}")
            special = set(self.contract.tokenizer.special_ids.values()) - stops
            beyond = range(self.contract.tokenizer.vocab_size, self._core.vocab_size)
            if len(self._vocabularies) > 64:
                self._vocabularies.clear()
            self._vocabularies[stops] = Vocabulary(self._core.vocab_size, [*special, *beyond])
        return self._vocabularies[stops]

    def _guesser(self, num_prompt: int, rest: list[int]) -> Guesser:
        guesser = self._speculation.guesser()
        return AnswerGuesser(num_prompt, rest, guesser) if rest else guesser

    def _remember(self, prompt: Prompt, completion: Completion) -> None:
        self._answers.add(prompt.ids, completion.ids)
        self._speculation.learn_answer(prompt.ids, completion.ids)

    def _ids(self, text: str | bytes | Sequence[int]) -> Sequence[int]:
        return self.contract.tokenizer.encode(text, unknown="replace") if isinstance(text, (str, bytes)) else text


def _options(values: dict[str, Any]) -> Options:
    names = {field.name for field in dataclasses.fields(Options)}
    if values.keys() <= names:
        return Options(**values)
    return settings.from_mapping(Options, values)  # says which is unknown


def _one(options: dict[str, Any]) -> int:
    if (n := options.pop("n", 1)) != 1:
        raise SettingsError(f"n is {n!r}; for more than one completion use generate_many or stream")
    return 1


def _pieces(next_event: Callable[[], Event], request: Request, waiting: int) -> Iterator[Piece]:
    try:
        while waiting:
            piece = _piece(next_event())
            waiting -= piece.completion is not None
            yield piece
    finally:
        request.cancel()


def _piece(event: Event) -> Piece:
    if isinstance(event, Exception):
        raise event
    assert isinstance(event, Piece)
    return event


def _scores(event: Event) -> Scores:
    if isinstance(event, Exception):
        raise event
    assert isinstance(event, Scores)
    return event


def _completions(pieces: Iterator[Piece] | list[Piece]) -> list[Completion]:
    return sorted((piece.completion for piece in pieces if piece.completion is not None), key=lambda one: one.index)


def _when_whole(listen: Callable[[Event], None]) -> Callable[[Event], None]:
    """Tells `listen` of finished completions and errors only: waking a thread for each token costs more than the token."""

    def tell(event: Event) -> None:
        if not isinstance(event, Piece) or event.completion is not None:
            listen(event)

    return tell


def _to_loop(events: asyncio.Queue[Event]) -> Callable[[Event], None]:
    """Put events into a queue of the running loop from any thread; a loop that is closed misses nothing."""
    loop = asyncio.get_running_loop()

    def listen(event: Event) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(events.put_nowait, event)

    return listen
