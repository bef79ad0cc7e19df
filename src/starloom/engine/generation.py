"""One completion being written: the choice of each token, its stops, and the text that can be shown.

Several completions of one request are a `Group`, of which the best come back. Knows nothing of pages or of when it is run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from starloom.contract import HeldBack, Prompt, Tokenizer
from starloom.contract.text_stream import TextStream
from starloom.engine.requests import Completion, FinishReason, Options, Piece, Request
from starloom.engine.sampling import Sampler, Vocabulary, likeliest, log_softmax
from starloom.engine.speculation import Guesser
from starloom.engine.tasks import F32, Task


class Group:
    """The completions of one request, and which of them come back. `finished` is told of each."""

    def __init__(self, request: Request, options: Options, finished: Callable[[Completion], None]) -> None:
        self.request, self.options = request, options
        self.streams = options.num_completions == options.n
        self.scores = options.log_probabilities is not None or not self.streams
        self._finished, self._waiting = finished, list[Completion]()

    def show(self, text: str, index: int) -> None:
        """Some more text of a completion."""
        if self.streams and text:
            self.request.tell(Piece(text, index))

    def finish(self, text: str, completion: Completion) -> None:
        """A completion is whole; `text` is what of it was not shown."""
        self._finished(completion)
        if self.streams:
            self.request.tell(Piece(text, completion.index, completion))
            return
        self._waiting.append(completion)
        if len(self._waiting) == self.options.num_completions:
            best = sorted(self._waiting, key=lambda one: (-_mean(one.log_probabilities), one.index))[: self.options.n]
            for place, one in enumerate(best):
                wanted = one.log_probabilities if self.options.log_probabilities is not None else None
                one = dataclasses.replace(one, index=place, log_probabilities=wanted)
                self.request.tell(Piece(one.text, place, one))


def _mean(numbers: Sequence[float] | None) -> float:
    return sum(numbers) / len(numbers) if numbers else 0.0


class Generation(Task):
    """One completion of a group; `others` go on from the same prompt."""

    def __init__(
        self,
        group: Group,
        prompt: Prompt,
        vocabulary: Vocabulary,
        tokenizer: Tokenizer,
        stops: frozenset[int],
        guesser: Guesser | None,
        index: int = 0,
    ) -> None:
        options = group.options
        super().__init__(group.request, [*prompt.ids], len(prompt.ids) + len(prompt.held_back) + options.max_tokens, index)
        self.others: list[Task] = []
        self._group, self._index, self._num_prompt = group, index, len(prompt.ids)
        self._stops, self._guesser, self._max_tokens = stops, guesser, options.max_tokens
        self._sampler = Sampler(options, vocabulary, prompt.ids, index)
        self._held, self._stream = HeldBack(tokenizer, prompt.held_back), TextStream((*options.stop_texts, *prompt.stop_texts))
        self._num_counted, self._num_shown, self._reused = 0, 0, 0
        self._log_probabilities: list[float] | None = [] if group.scores else None
        self._alternatives: list[list[tuple[int, float]]] | None = None if options.log_probabilities is None else []

    def num_logits(self, count: int) -> int:
        """See `Task`: those of the last token alone."""
        return int(count == self.pending)

    def guess(self, most: int) -> list[int]:
        """See `Task`."""
        most = min(most, self._max_tokens - self._num_counted - 1)
        return self._guesser.guess(self.ids, most) if self._guesser is not None and most > 0 else []

    def take(self, logits: F32, guessed: list[int]) -> int:
        """See `Task`: chooses a token for each row while the guess before it holds."""
        if self.stored is not None and len(self.ids) == self._num_prompt:
            self._reused = self.stored.reused
        right, reason = 0, None
        for row, row_logits in enumerate(logits):
            reason = self._choose(row_logits)
            if reason is not None or row == len(guessed) or self.ids[-1] != guessed[row]:
                break
            right += 1
        if guessed and self._guesser is not None:
            self._guesser.accept(len(guessed), right)
        if reason is not None:
            self.end(reason)
        elif len(self._stream.text) > self._num_shown:
            self._group.show(self._unshown(), self._index)
        return right

    def end(self, reason: FinishReason) -> None:
        """See `Task`."""
        self.finished = True
        self._stream.end()
        ids = self.ids[self._num_prompt :]
        completion = Completion(
            *(self._stream.text, ids, reason, self._index, self._num_prompt, self._reused),
            *(self._log_probabilities, self._alternatives, len(ids) - self._num_counted),
        )
        self._group.finish(self._unshown(), completion)

    def forks(self) -> list[Task]:
        """See `Task`."""
        others, self.others = self.others, []
        return others

    def _choose(self, logits: F32) -> FinishReason | None:
        """Choose one token; why the completion ends with it, if it does."""
        token = self._sampler.choose(logits, self._held.allowed() if self._held.rest else None)
        if token in self._stops:
            return "stop"
        self.ids.append(token)
        if self._log_probabilities is not None:
            self._score(logits, token)
        data = self._held.accept(token)
        self._num_counted += bool(data)
        self._stream.feed(data)
        if self._stream.stopped:
            return "stop"
        return "length" if self._num_counted >= self._max_tokens else None

    def _score(self, logits: F32, token: int) -> None:
        assert self._log_probabilities is not None
        log_probabilities = log_softmax(logits)
        self._log_probabilities.append(float(log_probabilities[token]))
        if self._alternatives is not None:
            self._alternatives.append(likeliest(log_probabilities, self._group.options.log_probabilities or 0))

    def _unshown(self) -> str:
        text = self._stream.text[self._num_shown :]
        self._num_shown += len(text)
        return text
