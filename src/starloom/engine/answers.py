"""Earlier answers, as guesses for a prompt that goes on as they did: the user typed what was proposed, or a part of it.

Compares text and not tokens, because what is typed is cut into tokens in another way. An edit before the cursor may also lie
within a prompt, where its layout puts the text behind the cursor last. Guesses may be wrong: they never change an answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np
import numpy.typing as npt

from starloom.contract import Prompt, Tokenizer
from starloom.engine.speculation import Guesser

_RECUT = 8
"""The most tokens at the end of a prompt that text typed behind them joins to other tokens."""

I32 = npt.NDArray[np.int32]


@dataclass(frozen=True)
class _Answer:
    prompt: I32
    ids: list[int]


class Answers:
    """The newest `capacity` answers. Safe to use from several threads."""

    def __init__(self, tokenizer: Tokenizer, capacity: int = 32) -> None:
        self._tokenizer, self._lock = tokenizer, Lock()
        self._answers: deque[_Answer] = deque(maxlen=capacity)

    def add(self, prompt: Sequence[int], ids: Sequence[int]) -> None:
        """`ids` were written behind `prompt`."""
        if ids:
            with self._lock:
                self._answers.append(_Answer(np.asarray(prompt, np.int32), [*ids]))

    def rest(self, prompt: Prompt) -> list[int]:
        """The rest of the newest answer with which `prompt` goes on, as tokens that may follow `prompt.ids`; mostly none."""
        with self._lock:
            answers = [*reversed(self._answers)]
        ids = np.asarray(prompt.ids, np.int32)
        for answer in answers:
            rest = self._rest(answer, ids)
            if rest and rest.startswith(prompt.held_back):
                return self._tokens(answer, rest)
        return []

    def _rest(self, answer: _Answer, ids: I32) -> bytes:
        """The bytes of an answer behind what `ids` have of it, if they begin with its prompt and go on with the answer."""
        before, behind = _shared(answer.prompt, ids), 0
        if before < len(answer.prompt):
            behind = self._behind(answer.prompt[before:], ids[before:])
        old, new = answer.prompt[before : len(answer.prompt) - behind], ids[before : len(ids) - behind]
        if len(old) > _RECUT or any(self._tokenizer.is_special(token) for token in (*old.tolist(), *new.tolist())):
            return b""
        shown, written = self._tokenizer.decode_bytes(old), self._tokenizer.decode_bytes(answer.ids)
        typed = self._tokenizer.decode_bytes(new)
        whole = shown + written
        return whole[len(typed) :] if whole.startswith(typed) and len(typed) >= len(shown) else b""

    def _behind(self, old: I32, new: I32) -> int:
        """How many tokens at the end of both are the text behind the cursor: from a special token on, equal to the end."""
        shared = _shared(old[::-1], new[::-1])
        ends = [place for place in range(1, shared + 1) if self._tokenizer.is_special(int(old[-place]))]
        return max(ends, default=0)

    def _tokens(self, answer: _Answer, rest: bytes) -> list[int]:
        """`rest` as the answer's own tokens where it begins between two of them."""
        place = len(answer.ids)
        size = 0
        while size < len(rest) and place > 0:
            place -= 1
            size += len(self._tokenizer.token_bytes[answer.ids[place]])
        return answer.ids[place:] if size == len(rest) else self._tokenizer.encode(rest, unknown="replace")


def _shared(one: I32, other: I32) -> int:
    """How many tokens both begin with."""
    size = min(len(one), len(other))
    differ = np.flatnonzero(one[:size] != other[:size])
    return int(differ[0]) if len(differ) else size


class AnswerGuesser:
    """Guesses the rest of an earlier answer while it comes true, then what `following` guesses."""

    def __init__(self, num_prompt: int, rest: list[int], following: Guesser) -> None:
        self._num_prompt, self._rest, self._following = num_prompt, rest, following
        self._ours = False

    def guess(self, ids: Sequence[int], most: int) -> list[int]:
        """See `speculation.Guesser`."""
        drawn = [*ids[self._num_prompt :]]
        self._ours = len(drawn) < len(self._rest) and self._rest[: len(drawn)] == drawn
        if self._ours:
            return self._rest[len(drawn) :][:most]
        self._rest = []
        return self._following.guess(ids, most)

    def accept(self, offered: int, accepted: int) -> None:
        """See `speculation.Guesser`."""
        if not self._ours:
            self._following.accept(offered, accepted)
