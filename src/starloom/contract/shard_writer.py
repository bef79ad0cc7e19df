"""Writes token shards: sequences in, a whole folder out or nothing. Reading is in `shards`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
import numpy.typing as npt

from starloom.contract.shard_header import HEADER_BYTES, ShardHeader
from starloom.contract.shards import INDEX_FILE, ShardEntry, ShardIndex
from starloom.contract.tokenizer import Tokenizer
from starloom.contract.tokens import END_OF_TEXT
from starloom.core.errors import InputError, SettingsError
from starloom.core.files import new_folder, sha256_of


class ShardWriter:
    """Context manager: `add` sequences, and at its end `directory` appears, whole; on any error nothing does.

    Every file but the last holds exactly `shard_tokens` ids. The same sequences give the same bytes. Raises
    `InputError` when `directory` exists and is not empty (unless `replace` is set), `SettingsError` for a
    `shard_tokens` below 1 or a tokenizer without <|endoftext|>.
    """

    def __init__(self, directory: Path, tokenizer: Tokenizer, *, shard_tokens: int = 2**27, replace: bool = False) -> None:
        if shard_tokens < 1:
            raise SettingsError(f"shard_tokens is {shard_tokens}; it must be at least 1")
        if END_OF_TEXT not in tokenizer.special_ids:
            raise SettingsError(f"this tokenizer has no {END_OF_TEXT}, which ends every sequence of a data set")
        self._directory, self._tokenizer = directory, tokenizer
        self._shard_tokens, self._replace = shard_tokens, replace
        self._end = tokenizer.special_ids[END_OF_TEXT]
        self._lengths = np.array([len(item) for item in tokenizer.token_bytes])
        self._entries: list[ShardEntry] = []
        self._num_sequences = self._num_bytes = self._in_shard = 0
        self._stream: BinaryIO | None = None

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        self._folder = self._stack.enter_context(new_folder(self._directory, replace=self._replace))
        self._stack.push(self._finish)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.__exit__(kind, error, trace)

    def add(self, ids: Sequence[int] | npt.NDArray[np.integer], *, num_bytes: int | None = None) -> None:
        """Append one repository sequence, which ends with <|endoftext|>.

        `num_bytes` is the size of its text in bytes; without it, the bytes of its ids are counted, which is the same.
        Raises `InputError` when an id is outside the vocabulary or the sequence does not end as it must.
        """
        sequence = np.asarray(ids, dtype=np.int64)
        if sequence.ndim != 1 or not len(sequence) or sequence[-1] != self._end:
            raise InputError(f"sequence {self._num_sequences} does not end with {END_OF_TEXT} (id {self._end})")
        if sequence.min() < 0 or sequence.max() >= len(self._lengths):
            raise InputError(f"sequence {self._num_sequences} holds an id outside the vocabulary of {len(self._lengths)} tokens")
        self._append(sequence)
        self._num_sequences += 1
        self._num_bytes += int(self._lengths[sequence].sum()) if num_bytes is None else num_bytes

    def _append(self, sequence: npt.NDArray[np.int64]) -> None:
        while len(sequence):
            stream = self._stream or self._begin_shard()
            piece, sequence = np.split(sequence, [self._shard_tokens - self._in_shard])
            stream.write(piece.astype(self._header().dtype).tobytes())
            self._in_shard += len(piece)
            if self._in_shard == self._shard_tokens:
                self._end_shard()

    def _header(self) -> ShardHeader:
        return ShardHeader(self._tokenizer.vocab_size, self._in_shard, self._tokenizer.fingerprint)

    def _path(self) -> Path:
        return self._folder / f"tokens-{len(self._entries):05d}.bin"

    def _begin_shard(self) -> BinaryIO:
        self._stream = self._path().open("wb")
        self._stream.write(bytes(HEADER_BYTES))
        return self._stream

    def _end_shard(self) -> None:
        if self._stream is None:
            return
        self._stream.seek(0)
        self._stream.write(self._header().to_bytes())
        self._close()
        self._entries.append(ShardEntry(self._path().name, self._in_shard, sha256_of(self._path())))
        self._in_shard = 0

    def _finish(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if error is None:
                self._end_shard()
                self._write_index()
        finally:
            self._close()

    def _close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _write_index(self) -> None:
        index = ShardIndex(
            vocab_size=self._tokenizer.vocab_size,
            fingerprint=self._tokenizer.fingerprint,
            num_tokens=sum(entry.tokens for entry in self._entries),
            num_sequences=self._num_sequences,
            num_bytes=self._num_bytes,
            shards=tuple(self._entries),
        )
        (self._folder / INDEX_FILE).write_text(index.to_json(), encoding="utf-8")
