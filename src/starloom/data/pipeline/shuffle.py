"""Rows on their way between shards and buckets: one file a sender, in it one piece for each receiver.

A 64-bit key decides the bucket by ranges of its value; an id names its shard in its upper half. A receiver reads its pieces
from the files of all senders, in their order, so that the result does not depend on who finished first.

A file begins with one entry for each receiver (`_NUMBERS`); then come the pieces, each a record batch of Arrow without its
schema, packed with Zstandard. A receiver reads its entry and its piece and nothing else, however many receivers there are.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from starloom.data.pipeline.columns import Written, naming_damage
from starloom.data.pipeline.storage import READERS, Storage

SHARD_SHIFT = 32
_NUMBERS = struct.Struct("<QQQI")  # where a piece begins, its bytes, its bytes when unpacked, its checksum
_ENTRY_BYTES = _NUMBERS.size + 4  # these, and a checksum of them
_CODEC, _LEVEL = "zstd", 3


def shards_of(ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The shard that each id lies in."""
    return ids >> np.int64(SHARD_SHIFT)


def rows_of(ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The row of each id in its shard."""
    return ids & np.int64(2**SHARD_SHIFT - 1)


def buckets_of(keys: npt.NDArray[np.uint64], num_buckets: int) -> npt.NDArray[np.int64]:
    """The bucket of each key: ranges of equal width, computed from the upper 32 bits."""
    return (((keys >> np.uint64(32)) * np.uint64(num_buckets)) >> np.uint64(32)).astype(np.int64)


def write_rows(storage: Storage, name: str, table: pa.Table, receivers: npt.NDArray[np.int64], num_receivers: int) -> Written:
    """Write each row into the piece of its receiver, one of `num_receivers`; rows of one receiver keep their order."""
    order = np.argsort(receivers, kind="stable")
    bounds = np.searchsorted(receivers[order], np.arange(num_receivers + 1))
    assert (bounds[0], bounds[-1]) == (0, len(order)), "every row has a receiver"
    codec = pa.Codec(_CODEC, _LEVEL)
    entries, place = [], num_receivers * _ENTRY_BYTES
    with storage.new(name) as partial:
        with partial.open("wb") as stream:
            stream.seek(place)
            for start, end in pairwise(bounds):
                plain = _serialized(table.take(pa.array(order[start:end]))) if start < end else b""
                piece = codec.compress(plain, asbytes=True) if plain else b""
                stream.write(piece)
                entries.append(_entry(place, piece, len(plain)))
                place += len(piece)
            stream.seek(0)
            stream.write(b"".join(entries))
        size = partial.stat().st_size
    return Written(table.num_rows, size)


def read_rows(storage: Storage, names: Sequence[str], receiver: int, schema: pa.Schema) -> pa.Table:
    """The rows for a receiver from all files of `names`. Raises `FormatError`."""
    with ThreadPoolExecutor(READERS) as pool:
        batches = list(pool.map(lambda name: _read_piece(storage, name, receiver, schema), names))
    return pa.Table.from_batches([batch for batch in batches if batch is not None], schema).combine_chunks()


def _serialized(table: pa.Table) -> pa.Buffer:
    (batch,) = table.combine_chunks().to_batches()
    return batch.serialize()


def _entry(place: int, piece: bytes, length: int) -> bytes:
    return _sealed(_NUMBERS.pack(place, len(piece), length, crc32(piece)))


def _sealed(numbers: bytes) -> bytes:
    return numbers + crc32(numbers).to_bytes(4, "little")


def _read_piece(storage: Storage, name: str, receiver: int, schema: pa.Schema) -> pa.RecordBatch | None:
    with naming_damage(storage, name):
        entry = storage.read_range(name, receiver * _ENTRY_BYTES, _ENTRY_BYTES)
        numbers = entry[: _NUMBERS.size]
        if len(entry) < _ENTRY_BYTES or entry != _sealed(numbers):
            raise pa.ArrowInvalid(f"the entry of receiver {receiver} is not what was written")
        place, stored, length, check = _NUMBERS.unpack(numbers)
        if not stored:
            return None
        piece = storage.read_range(name, place, stored)
        if crc32(piece) != check:
            raise pa.ArrowInvalid(f"the piece of receiver {receiver} is not what was written")
        return pa.ipc.read_record_batch(pa.Codec(_CODEC).decompress(piece, length), schema)
