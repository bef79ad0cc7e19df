"""The systems that `embedded_model.py` compares: our model in each way of asking it, SmolLM2 left to right.

Left to right, white space before the cursor is held back and written by the model first. From mid-line the cursor often
stands inside a word, which is hard for a model that has never learned such cuts: with healing, the word that it touches is
held back too. Fill-in prompts need no healing, since training cuts words; whether it helps them all the same is measured.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from smollm2 import SmolLM2
from torch.nn import functional

from starloom.contract import Contract, Prompt
from starloom.contract.fitting import fitted_prompt
from starloom.contract.healing import split_touched
from starloom.contract.layouts import Order
from starloom.core.files import sha256_of
from starloom.evaluate import Answer
from starloom.model import StarCoder2
from starloom.model.generation import completion_of, generate

System = Callable[[bytes, bytes], Answer]


def nothing(prefix: bytes) -> bytes:
    """All of `prefix`."""
    return prefix


def white_space(prefix: bytes) -> bytes:
    """`prefix` without white space at its end."""
    return prefix.rstrip()


def touched_word(prefix: bytes) -> bytes:
    """`prefix` without the word, digit or run of signs that the cursor touches, and without a single space before that."""
    return split_touched(prefix)[0]


def last_word(prefix: bytes) -> bytes:
    """`prefix` without the word that the cursor touches, nor white space before that or before the cursor."""
    return white_space(touched_word(prefix))


HoldBack = Callable[[bytes], bytes]
LEFT_TO_RIGHT: dict[str, HoldBack] = {"left to right": white_space, "left to right + healing": last_word}
FILL_IN: dict[str, tuple[Order, HoldBack]] = {
    "SPM": ("spm", nothing),
    "SPM + healing": ("spm", touched_word),
    "PSM": ("psm", nothing),
}


class Ours:
    """Our model; `context` is the most positions that prompt and completion may take."""

    def __init__(self, path: Path, context: int | None, max_tokens: int) -> None:
        self.path, self.model, self.contract = path, StarCoder2.open(path, torch.float32).eval(), Contract.of(path)
        most = self.model.config.max_position_embeddings
        self.context, self.max_tokens = min(context or most, most), max_tokens

    def fill_in(self, order: Order, hold_back: HoldBack) -> System:
        """What stands between prefix and suffix; the model says where it ends."""

        def answer(prefix: bytes, suffix: bytes) -> Answer:
            prompt = self._prompt(prefix, suffix, hold_back if suffix.strip() else white_space, order)
            done = completion_of(generate(self.model, self.contract, prompt, max_tokens=self.max_tokens))
            return Answer(done.text, done.finish_reason == "stop")

        return answer

    def left_to_right(self, hold_back: HoldBack) -> System:
        """The rest of the line, without a look at the suffix."""

        def answer(prefix: bytes, suffix: bytes) -> Answer:
            prompt = self._prompt(prefix, b"", hold_back, None)
            pieces = generate(self.model, self.contract, prompt, max_tokens=self.max_tokens, stop_texts=("\n",))
            return Answer(completion_of(pieces).text)

        return answer

    def _prompt(self, prefix: bytes, suffix: bytes, hold_back: HoldBack, order: Order | None) -> Prompt:
        front = hold_back(prefix)
        held = prefix[len(front) :]
        room = self.context - self.max_tokens - len(held)
        start = fitted_prompt(self.contract, front, suffix, room=room, order=order, heal=False)
        return Prompt(start.ids, start.held_back + held)

    @torch.inference_mode()
    def bits(self, text: bytes) -> float:
        """What `text` costs as the beginning of a file, in bits."""
        ids = torch.tensor([self.contract.marks.file_sep, *self.contract.tokenizer.encode(text)])
        return float(functional.cross_entropy(self.model(ids[None, :-1])[0], ids[1:], reduction="sum")) / math.log(2)

    def fingerprint(self) -> str:
        """The SHA-256 of the weights; of several files, that of their hashes."""
        hashes = [sha256_of(file) for file in ([self.path] if self.path.is_file() else sorted(self.path.glob("*.safetensors")))]
        return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


class KeptAnswers:
    """Answers by system and text in a file of JSON lines, so that none is asked for twice."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[str, Answer] = {}
        for line in path.read_text().splitlines() if path and path.is_file() else []:
            try:
                key, answer = json.loads(line)
            except ValueError:  # a line that a killed run did not finish
                continue
            self._known[key] = Answer(**answer)

    def get(self, key: object, ask: Callable[[], Answer]) -> Answer:
        """The answer kept for `key`, which tells everything that an answer depends on; else ask, and keep it."""
        name = hashlib.sha256(repr(key).encode()).hexdigest()
        if name not in self._known:
            self._known[name] = ask()
            self._write([name, asdict(self._known[name])])
        return self._known[name]

    def _write(self, row: list[Any]) -> None:
        if self._path:
            with self._path.open("a") as stream:
                stream.write(f"\n{json.dumps(row)}")


def ours_by_name(ours: Ours, kept: KeptAnswers) -> dict[str, System]:
    """Our model in every way of asking it, the plainest way first."""
    limits = (ours.fingerprint(), ours.context, ours.max_tokens)
    ways = {name: ours.fill_in(*way) for name, way in FILL_IN.items()}
    ways |= {name: ours.left_to_right(hold_back) for name, hold_back in LEFT_TO_RIGHT.items()}
    return {f"Starloom, {name}": _remembered(system, (*limits, name), kept) for name, system in ways.items()}


def _remembered(system: System, limits: tuple[Any, ...], kept: KeptAnswers) -> System:
    return lambda prefix, suffix: kept.get((limits, prefix, suffix), lambda: system(prefix, suffix))


def peer_by_name(peer: SmolLM2, max_tokens: int, kept: KeptAnswers) -> dict[str, System]:
    """SmolLM2 left to right; where both ways hold the same back it is asked once."""
    limits = (sha256_of(peer.path), peer.context, max_tokens)

    def left_to_right(hold_back: HoldBack) -> System:
        def answer(prefix: bytes, suffix: bytes) -> Answer:
            front = hold_back(prefix)
            held = prefix[len(front) :]
            return kept.get((limits, front, held), lambda: peer.complete(front, held, max_tokens=max_tokens))

        return answer

    return {f"SmolLM2, {name}": left_to_right(hold_back) for name, hold_back in LEFT_TO_RIGHT.items()}
