"""Fill-in-the-middle on the fly: a window of plain token ids becomes one with prefixes, suffixes and middles.

As in StarCoder 2's training (arXiv 2402.19173 §5.1), a window is split at `<|endoftext|>` into repositories and at
`<file_sep>` into files; parts with other special tokens (a repository's name, threads, notebooks) are left alone; a middle is
followed by the separator that followed its file.
One thing differs: a file that the window's border cuts off is ended by `<file_sep>`, since with windows shorter than
files the model would otherwise never see a middle end. The layouts themselves are the contract's.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from starloom.contract.contract import Contract
from starloom.contract.layouts import Order
from starloom.contract.tokens import END_OF_TEXT, FILE_SEP, FIM_PAD, PLACEHOLDERS
from starloom.train.config import FillInConfig
from starloom.train.cuts import cut

_ROOM = 8  # ids that the sentinels and the cuts through tokens usually add to a file that the window's border cuts off
_SHORTEST = 10  # shorter files are left as they are


class FillIn:
    """Turns windows into training sequences; every draw comes from the generator that is passed in."""

    def __init__(self, contract: Contract, config: FillInConfig) -> None:
        self._contract, self._config = contract, config
        special = contract.tokenizer.special_ids
        self._end, self._separator, self.pad = special[END_OF_TEXT], special[FILE_SEP], special[FIM_PAD]
        self._placeholders = [special[text] for text in PLACEHOLDERS if text in special]
        self._marks = sorted(set(special.values()) - {self._end, self._separator, *self._placeholders})
        self._kinds = list(config.cuts)
        weights = np.array([config.cuts[kind] for kind in self._kinds])
        self._weights = weights / weights.sum()
        self._bytes_of = contract.tokenizer.token_bytes

    def __call__(self, window: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Ids of the same length as `window`, ended by padding where the result came out shorter."""
        out: list[int] = []
        for repository in _split(window, self._end):
            chosen = random.random() < self._config.repository_rate
            for file in _split(repository, self._separator):
                space = len(window) - len(out)
                out += self._file(file, space, random) if chosen else file.tolist()
        padded = np.full(len(window), self.pad, dtype=np.int64)
        padded[: len(out)] = out[: len(window)]
        return padded

    def _file(self, file: np.ndarray, space: int, random: np.random.Generator) -> list[int]:
        """The file's ids after its draws, cut off so that they and their separator fit into `space`."""
        plain: list[int] = file.tolist()
        if len(file) < _SHORTEST or np.isin(file, self._marks).any():
            return plain
        if int(file[-1]) in (self._separator, self._end):
            out = self._filled(file[:-1], int(file[-1]), random)
            if len(out) <= space:
                return out
        room = _ROOM
        while space - room >= _SHORTEST:
            out = self._filled(file[: space - room], self._separator, random)
            if len(out) <= space:
                return out
            room += len(out) - space
        return plain

    def _filled(self, body: np.ndarray, terminator: int, random: np.random.Generator) -> list[int]:
        out: list[int] = []
        for piece in self._pieces(body, random):
            out += self._piece(piece, random) if random.random() < self._config.file_rate else piece.tolist()
            out.append(self._separator)
        return [*out[:-1], terminator]

    def _pieces(self, body: np.ndarray, random: np.random.Generator) -> Iterator[np.ndarray]:
        shortest = self._config.shortest_piece
        while shortest is not None and len(body) > 2 * shortest:
            length = int(np.exp(random.uniform(np.log(shortest), np.log(len(body)))))
            length = self._line_border(body, length)
            if len(body) - length < shortest:
                break
            yield body[:length]
            body = body[length:]
        yield body

    def _line_border(self, body: np.ndarray, length: int) -> int:
        """The next place at or after `length` where a token begins a new line."""
        while length < len(body) and not self._bytes_of[int(body[length])].startswith(b"\n"):
            length += 1
        return length

    def _piece(self, piece: np.ndarray, random: np.random.Generator) -> list[int]:
        if np.isin(piece, self._placeholders).any():  # as text they would be anybody's characters
            return list(piece.tolist())
        text = self._contract.tokenizer.decode_bytes(piece.tolist())
        kind = self._kinds[int(random.choice(len(self._kinds), p=self._weights))]
        first, last = cut(text, kind, random)
        order: Order = "spm" if random.random() < self._config.spm_share else "psm"
        return self._contract.fill_in_ids(text[:first], text[first:last], text[last:], order=order)


def _split(ids: np.ndarray, separator: int) -> list[np.ndarray]:
    """Parts that each end with `separator`, but for the last, which may not."""
    parts = np.split(ids, np.flatnonzero(ids == separator) + 1)
    return [part for part in parts if len(part)]
