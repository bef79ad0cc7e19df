"""Token shards: the packed, memory-mapped form in which a data set goes into training.

A folder holds `shards.json` and `tokens-00000.bin`, `tokens-00001.bin`, ...: a fixed header (see `shard_header`) and
the ids as they stand one behind the other, so that a training sample is a range of positions. Repository sequences
follow each other and may cross from one file into the next. Knows nothing of where sequences come from.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from starloom.contract.json_vocabulary import read_object
from starloom.contract.shard_header import HEADER_BYTES, ShardHeader
from starloom.contract.tokenizer import Tokenizer
from starloom.core.errors import FormatError, InputError, MismatchError
from starloom.core.files import sha256_of

INDEX_FILE = "shards.json"
FORMAT, VERSION = "starloom-shards", 1
_INDEX_LIMIT = 256 * 2**20
_NAME = re.compile(r"tokens-\d{5,}\.bin")


@dataclass(frozen=True)
class ShardEntry:
    """One file of a data set: its name, how many ids it holds, the SHA-256 (hex) of the whole file."""

    name: str
    tokens: int
    sha256: str


@dataclass(frozen=True)
class ShardIndex:
    """What `shards.json` says: `num_bytes` counts the UTF-8 bytes of text behind all ids, for bits per byte."""

    vocab_size: int
    fingerprint: str
    num_tokens: int
    num_sequences: int
    num_bytes: int
    shards: tuple[ShardEntry, ...]

    def to_json(self) -> str:
        """The text of `shards.json`."""
        content = {"format": FORMAT, "version": VERSION, **self.__dict__, "shards": [entry.__dict__ for entry in self.shards]}
        return json.dumps(content, indent=2) + "\n"

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read `shards.json`. Raises `FormatError`."""
        content = read_object(path, _INDEX_LIMIT)
        if content.pop("format", None) != FORMAT:
            raise FormatError(f'\'{path}\' does not say "format": "{FORMAT}"')
        if (version := content.pop("version", None)) != VERSION:
            raise FormatError(f"'{path}' is of version {version!r}; this Starloom knows version {VERSION}")
        try:
            index = cls(**{**content, "shards": tuple(ShardEntry(**entry) for entry in content["shards"])})
            index._check()
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"'{path}' is damaged: {error}") from None
        return index

    def _check(self) -> None:
        numbers = {name: value for name, value in self.__dict__.items() if name not in ("fingerprint", "shards")}
        numbers |= {f"tokens of {entry.name!r}": entry.tokens for entry in self.shards}
        for name, value in numbers.items():
            if type(value) is not int or value < 0:
                raise ValueError(f"{name} is {value!r}; it must be a count")
        for entry in self.shards:
            if not _NAME.fullmatch(entry.name):
                raise ValueError(f"{entry.name!r} is no name of a shard")
        if (total := sum(entry.tokens for entry in self.shards)) != self.num_tokens:
            raise ValueError(f"its shards hold {total} tokens, but it says {self.num_tokens} in all")


class Shards:
    """A data set opened for reading; `len` is its number of ids. The files stay on disk and are mapped."""

    def __init__(self, directory: Path, index: ShardIndex, parts: list[npt.NDArray[np.unsignedinteger]]) -> None:
        self.directory, self.index = directory, index
        self._parts = parts
        self._starts = np.cumsum([0, *map(len, parts)])

    @classmethod
    def open(cls, directory: Path, tokenizer: Tokenizer | None = None) -> Self:
        """Open a folder that `ShardWriter` wrote, checking every header and size against the files.

        Raises `InputError` when there is none, `FormatError` when a file is damaged, truncated or absent, and
        `MismatchError` when the ids were made by another tokenizer than `tokenizer`.
        """
        if not (directory / INDEX_FILE).is_file():
            raise InputError(f"there are no token shards in '{directory}': it holds no {INDEX_FILE}")
        index = ShardIndex.read(directory / INDEX_FILE)
        if tokenizer is not None and tokenizer.fingerprint != index.fingerprint:
            raise MismatchError(
                f"the shards in '{directory}' were made with the tokenizer {index.fingerprint}, "
                f"not with {tokenizer.fingerprint}: make them again, or use their tokenizer"
            )
        return cls(directory, index, [_map(directory / entry.name, entry, index) for entry in index.shards])

    def __len__(self) -> int:
        return self.index.num_tokens

    @property
    def vocab_size(self) -> int:
        """The size of the vocabulary that the ids belong to."""
        return self.index.vocab_size

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the tokenizer that made the ids."""
        return self.index.fingerprint

    @property
    def num_sequences(self) -> int:
        """How many repository sequences there are."""
        return self.index.num_sequences

    @property
    def num_bytes(self) -> int:
        """How many bytes of text the ids stand for."""
        return self.index.num_bytes

    def read(self, start: int, count: int) -> npt.NDArray[np.int64]:
        """The ids at positions `start` to `start + count - 1`, of shape [count].

        Raises `IndexError` for positions outside the data set, `FormatError` for an id outside the vocabulary.
        """
        if start < 0 or count < 0 or start + count > len(self):
            raise IndexError(f"positions {start} to {start + count} are outside the {len(self)} tokens of '{self.directory}'")
        ids = np.empty(count, dtype=np.int64)
        done = 0
        while done < count:
            place = int(np.searchsorted(self._starts, start + done, side="right")) - 1
            inside = start + done - int(self._starts[place])
            piece = self._parts[place][inside : inside + count - done]
            ids[done : done + len(piece)] = piece
            done += len(piece)
        if count and ids.max() >= self.vocab_size:
            raise FormatError(
                f"'{self.directory}' holds the id {ids.max()}, outside its vocabulary of {self.vocab_size}: it is damaged"
            )
        return ids

    def verify(self) -> None:
        """Read every byte and compare with the SHA-256 in the index. Raises `FormatError` naming the first bad file."""
        for entry in self.index.shards:
            if sha256_of(self.directory / entry.name) != entry.sha256:
                raise FormatError(f"'{self.directory / entry.name}' is damaged: its SHA-256 is not the one in {INDEX_FILE}")


def _map(path: Path, entry: ShardEntry, index: ShardIndex) -> npt.NDArray[np.unsignedinteger]:
    if not path.is_file():
        raise FormatError(f"'{path}' is missing: the data set is not whole")
    with path.open("rb") as stream:
        try:
            header = ShardHeader.from_bytes(stream.read(HEADER_BYTES))
        except FormatError as error:
            raise FormatError(f"'{path}': {error}") from None
    if header != ShardHeader(index.vocab_size, entry.tokens, index.fingerprint):
        raise FormatError(f"'{path}' does not belong to the {INDEX_FILE} beside it: {header}")
    expected = HEADER_BYTES + header.tokens * header.dtype.itemsize
    if (found := path.stat().st_size) != expected:
        raise FormatError(f"'{path}' has {found} bytes; {header.tokens} tokens need {expected}: it is truncated or damaged")
    return np.memmap(path, dtype=header.dtype, mode="r", offset=HEADER_BYTES, shape=(header.tokens,))
