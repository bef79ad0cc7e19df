"""Completions, one token at a time: the slow and readable generator that the native engine is tested against.

Feeds the prompt, then draws token after token until a stop, a stop text or the limit. Special tokens other than stops
are never drawn, and bytes that the prompt holds back are written first (see `starloom.contract.healing`).
Deliberately makes no prompt shorter: what to leave out is the business of who laid it out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from starloom.contract import Contract, HeldBack, Prompt
from starloom.contract.text_stream import TextStream
from starloom.core.errors import FormatError, InputError, MismatchError, SettingsError
from starloom.model.cache import KVCache
from starloom.model.starcoder2 import StarCoder2


@dataclass(frozen=True)
class Completion:
    """A finished completion.

    `ids` are all tokens drawn before the stop, those that write what the prompt held back among them;
    `log_probabilities` are theirs under the model alone: at temperature 1, over the whole vocabulary.
    """

    text: str
    ids: list[int]
    log_probabilities: list[float]
    finish_reason: Literal["stop", "length"]


@dataclass(frozen=True)
class Piece:
    """Some more text, perhaps none; the last piece carries the whole completion."""

    text: str
    completion: Completion | None = None


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn: the likeliest at temperature 0, else from the smallest set that holds `top_p`."""

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            raise SettingsError(f"temperature is {self.temperature!r}; it must be a number from 0 on")
        if not 0 < self.top_p <= 1:
            raise SettingsError(f"top_p is {self.top_p!r}; it must be above 0 and at most 1")

    def draw(self, logits_V: Tensor, generator: torch.Generator) -> int:
        """An id by its logits; those of minus infinity are never drawn."""
        if self.temperature == 0:
            return int(logits_V.argmax())
        chances_V, ids_V = ((logits_V - logits_V.max()) / self.temperature).softmax(-1).sort(descending=True, stable=True)
        before_V = chances_V.cumsum(-1) - chances_V
        chances_V = chances_V.masked_fill(before_V >= self.top_p, 0.0)
        return int(ids_V[torch.multinomial(chances_V, 1, generator=generator)])


def generate(
    model: StarCoder2,
    contract: Contract,
    prompt: Prompt,
    *,
    max_tokens: int,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
    stops: Sequence[int] | None = None,
    stop_texts: Sequence[str] = (),
) -> Iterator[Piece]:
    """Complete `prompt`: pieces of text as they come, whole characters each.

    At most `max_tokens` tokens reach the completion; tokens that lie within what the prompt holds back do not count.
    `stops` are ids, by default the contract's. The completion ends before a stop or the first of `stop_texts` and the prompt's.
    Raises `SettingsError`, `MismatchError` when model and contract do not belong together, and `InputError` when prompt
    and completion would not fit into the model's positions: shorten the prompt.
    """
    sampling = Sampling(temperature, top_p, seed)
    if max_tokens < 1:
        raise SettingsError(f"max_tokens is {max_tokens}; it must be at least 1")
    if not all(stop_texts):
        raise SettingsError("a stop text is empty; it must have at least one character")
    capacity = _checked_length(model, contract, prompt, max_tokens)
    drawing = _Drawing(model, contract, prompt, sampling, contract.stops if stops is None else stops, capacity)
    return _pieces(drawing, TextStream((*stop_texts, *prompt.stop_texts)), max_tokens)


def completion_of(pieces: Iterable[Piece]) -> Completion:
    """Let a completion run to its end."""
    last = None
    for piece in pieces:
        last = piece.completion
    assert last is not None, "generate ends with a completion"
    return last


def _checked_length(model: StarCoder2, contract: Contract, prompt: Prompt, max_tokens: int) -> int:
    """The positions that prompt and completion may need, after checks that they and the model belong together."""
    vocab_size, room = model.config.vocab_size, model.config.max_position_embeddings
    if contract.tokenizer.vocab_size > vocab_size:
        raise MismatchError(f"the tokenizer has {contract.tokenizer.vocab_size} tokens, the model only {vocab_size}")
    if not prompt.ids:
        raise InputError("the prompt is empty; it must hold at least one token")
    if unknown := [token for token in prompt.ids if not 0 <= token < vocab_size]:
        raise MismatchError(f"the prompt holds the id {unknown[0]}; the model knows 0 to {vocab_size - 1}")
    needed = len(prompt.ids) + len(prompt.held_back) + max_tokens
    if needed > room:
        raise InputError(f"a prompt of {len(prompt.ids)} tokens and {max_tokens} new ones do not fit into {room} positions")
    return needed


def _pieces(drawing: _Drawing, stream: TextStream, max_tokens: int) -> Iterator[Piece]:
    shown = 0
    while shown < max_tokens and not stream.stopped:
        data = drawing.step()
        if data is None:
            break
        shown += bool(data)
        yield Piece(stream.feed(data))
    reason: Literal["stop", "length"] = "stop" if stream.stopped or drawing.stopped else "length"
    rest = stream.end()
    yield Piece(rest, Completion(stream.text, drawing.ids, drawing.log_probabilities, reason))


class _Drawing:
    """The state of one completion: the cache, the tokens drawn, and what is still held back."""

    def __init__(
        self, model: StarCoder2, contract: Contract, prompt: Prompt, sampling: Sampling, stops: Sequence[int], capacity: int
    ) -> None:
        weight = model.head_weight
        self.ids: list[int] = []
        self.log_probabilities: list[float] = []
        self.stopped = False
        self._model, self._sampling, self._stops = model, sampling, frozenset(stops)
        self._generator = torch.Generator(weight.device).manual_seed(sampling.seed)
        self._held = HeldBack(contract.tokenizer, prompt.held_back)
        self._forbidden_V = _forbidden(contract, model.config.vocab_size, self._stops).to(weight.device)
        self._cache = KVCache(model.config, batch=1, capacity=capacity, dtype=weight.dtype, device=weight.device)
        self._next = prompt.ids

    @torch.no_grad()
    def step(self) -> bytes | None:
        """Draw one token; its bytes that belong to the completion, or None when it is a stop."""
        ids_BT = torch.tensor([self._next], device=self._forbidden_V.device)
        logits_V = self._last_logits(ids_BT)
        token = self._sampling.draw(self._masked(logits_V), self._generator)
        if token in self._stops:
            self.stopped = True
            return None
        self._next = [token]
        self.ids.append(token)
        self.log_probabilities.append(float(logits_V.log_softmax(-1)[token]))
        return self._held.accept(token)

    def _last_logits(self, ids_BT: Tensor) -> Tensor:
        """The next token's logits in float32; only the last position meets the head."""
        logits_V = (self._model.hidden(ids_BT, self._cache)[0, -1] @ self._model.head_weight.T).float()
        if not logits_V.isfinite().all():
            raise FormatError("the model's logits are not finite: its weights are damaged")
        return logits_V

    def _masked(self, logits_V: Tensor) -> Tensor:
        allowed = self._held.allowed()
        if allowed is None:
            return logits_V.masked_fill(self._forbidden_V, -math.inf)
        masked_V = torch.full_like(logits_V, -math.inf)
        places = torch.from_numpy(allowed).to(logits_V.device)
        masked_V[places] = logits_V[places]
        return masked_V


def _forbidden(contract: Contract, vocab_size: int, stops: frozenset[int]) -> Tensor:
    """True for ids that are never drawn: special tokens that stop nothing, and rows beyond the tokenizer's ids."""
    known = contract.tokenizer.vocab_size
    return torch.tensor([place >= known or (contract.is_special(place) and place not in stops) for place in range(vocab_size)])
