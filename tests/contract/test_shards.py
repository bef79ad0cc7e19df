import errno
import json
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starloom.contract.shard_header import HEADER_BYTES, ShardHeader
from starloom.contract.shard_writer import ShardWriter
from starloom.contract.shards import Shards
from starloom.contract.tokenizer import Tokenizer
from starloom.core.errors import FormatError, InputError, MismatchError, SettingsError

END = 0
SEQUENCES = [[50, 51, 52, END], [60, END], [70, 71, 72, 73, 74, 75, 76, END], [END]]
FLAT = [token for sequence in SEQUENCES for token in sequence]


def write(directory: Path, tokenizer: Tokenizer, *, shard_tokens: int = 4) -> Path:
    with ShardWriter(directory, tokenizer, shard_tokens=shard_tokens) as writer:
        for sequence in SEQUENCES:
            writer.add(sequence)
    return directory


@pytest.fixture
def written(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    return write(tmp_path / "shards", tokenizer)


def test_what_is_written_is_read(written: Path, tokenizer: Tokenizer) -> None:
    shards = Shards.open(written, tokenizer)
    shards.verify()
    assert len(shards) == len(FLAT) == shards.read(0, len(shards)).size
    assert shards.num_sequences == 4
    assert shards.num_bytes == len(tokenizer.decode_bytes(FLAT))
    assert (shards.vocab_size, shards.fingerprint) == (tokenizer.vocab_size, tokenizer.fingerprint)
    assert sorted(path.name for path in written.iterdir()) == ["shards.json", *(f"tokens-0000{n}.bin" for n in range(4))]


def test_every_range_across_every_border(written: Path) -> None:
    shards = Shards.open(written)
    for start in range(len(FLAT) + 1):
        for count in range(len(FLAT) - start + 1):
            assert shards.read(start, count).tolist() == FLAT[start : start + count]


@pytest.mark.parametrize(("start", "count"), [(-1, 2), (0, 16), (15, 1), (16, 0), (3, -1)])
def test_a_range_outside_is_refused(written: Path, start: int, count: int) -> None:
    with pytest.raises(IndexError, match="outside the 15 tokens"):
        Shards.open(written).read(start, count)


def test_the_same_sequences_give_the_same_bytes(written: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    again = write(tmp_path / "again", tokenizer)
    for path in written.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes()


def test_the_file_is_the_header_and_the_ids(written: Path, tokenizer: Tokenizer) -> None:
    data = (written / "tokens-00000.bin").read_bytes()
    assert data[:8] == b"STARLMTK"
    assert ShardHeader.from_bytes(data[:HEADER_BYTES]) == ShardHeader(400, 4, tokenizer.fingerprint)
    assert np.frombuffer(data[HEADER_BYTES:], "<u2").tolist() == FLAT[:4]


@given(vocab_size=st.integers(1, 2**32 - 1), tokens=st.integers(0, 2**60))
def test_header_round_trip(vocab_size: int, tokens: int) -> None:
    header = ShardHeader(vocab_size, tokens, "ab" * 32)
    assert len(header.to_bytes()) == HEADER_BYTES
    assert ShardHeader.from_bytes(header.to_bytes()) == header
    assert header.dtype == np.dtype("<u2" if vocab_size <= 65536 else "<u4")


def test_num_bytes_may_be_given(tmp_path: Path, tokenizer: Tokenizer) -> None:
    with ShardWriter(tmp_path / "a", tokenizer) as writer:
        writer.add(np.array([50, END], dtype=np.uint16), num_bytes=7)
    assert Shards.open(tmp_path / "a").num_bytes == 7


def test_a_data_set_may_be_empty(tmp_path: Path, tokenizer: Tokenizer) -> None:
    with ShardWriter(tmp_path / "a", tokenizer):
        pass
    shards = Shards.open(tmp_path / "a", tokenizer)
    assert len(shards) == len(shards.read(0, 0)) == 0


@pytest.mark.parametrize("sequence", [[], [50], [END, 50], [[END]]])
def test_a_sequence_must_end_with_end_of_text(tmp_path: Path, tokenizer: Tokenizer, sequence: list[int]) -> None:
    with pytest.raises(InputError, match="does not end with"), ShardWriter(tmp_path / "a", tokenizer) as writer:
        writer.add(sequence)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("token", [-1, 400, 70_000])
def test_an_id_outside_the_vocabulary_is_not_written(tmp_path: Path, tokenizer: Tokenizer, token: int) -> None:
    with pytest.raises(InputError, match="an id outside the vocabulary"), ShardWriter(tmp_path / "a", tokenizer) as writer:
        writer.add([token, END])
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_size_of_shards_is_refused(tmp_path: Path, tokenizer: Tokenizer) -> None:
    with pytest.raises(SettingsError, match="shard_tokens is 0"):
        ShardWriter(tmp_path / "a", tokenizer, shard_tokens=0)


def test_what_is_there_already_stays(written: Path, tokenizer: Tokenizer) -> None:
    before = {path.name: path.read_bytes() for path in written.iterdir()}
    with pytest.raises(InputError, match="exists already"):
        write(written, tokenizer)
    assert {path.name: path.read_bytes() for path in written.iterdir()} == before


def test_a_full_disk_leaves_nothing(tmp_path: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    class FullDisk:
        def __init__(self, stream: BinaryIO) -> None:
            self._stream = stream

        def write(self, data: bytes) -> int:
            self._stream.write(data[:1])
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None:
            self._stream.close()

    begin = ShardWriter._begin_shard

    def begin_on_a_full_disk(writer: ShardWriter) -> FullDisk:
        disk = FullDisk(begin(writer))
        writer._stream = disk  # type: ignore[assignment]
        return disk

    monkeypatch.setattr(ShardWriter, "_begin_shard", begin_on_a_full_disk)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "shards", tokenizer)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_full_at_the_last_moment_leaves_nothing(
    tmp_path: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "shards", tokenizer)
    assert list(tmp_path.iterdir()) == []


def test_another_tokenizer_is_a_mismatch(written: Path, tokenizer: Tokenizer, smallest: Tokenizer) -> None:
    with pytest.raises(MismatchError) as caught:
        Shards.open(written, smallest)
    assert tokenizer.fingerprint in str(caught.value)
    assert smallest.fingerprint in str(caught.value)


def test_no_shards_there(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(InputError, match="there are no token shards"):
            Shards.open(path)


@pytest.mark.parametrize("keep", [0, 5, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 7])
def test_a_truncated_shard_is_named(written: Path, keep: int) -> None:
    path = written / "tokens-00001.bin"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(FormatError, match=r"tokens-00001\.bin"):
        Shards.open(written)


@pytest.mark.parametrize("place", range(0, HEADER_BYTES, 5))
def test_a_damaged_header_is_named(written: Path, place: int) -> None:
    path = written / "tokens-00002.bin"
    data = bytearray(path.read_bytes())
    data[place] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(FormatError, match=r"tokens-00002\.bin"):
        Shards.open(written)


def test_a_missing_shard_is_named(written: Path) -> None:
    (written / "tokens-00003.bin").unlink()
    with pytest.raises(FormatError, match=r"tokens-00003\.bin' is missing"):
        Shards.open(written)


def test_shards_of_two_data_sets_do_not_mix(written: Path, tokenizer: Tokenizer, smallest: Tokenizer, tmp_path: Path) -> None:
    other = write(tmp_path / "other", smallest)
    (written / "tokens-00000.bin").write_bytes((other / "tokens-00000.bin").read_bytes())
    with pytest.raises(FormatError, match=r"does not belong to the shards\.json"):
        Shards.open(written, tokenizer)


def test_damaged_ids_are_found(written: Path) -> None:
    path = written / "tokens-00000.bin"
    data = bytearray(path.read_bytes())
    data[HEADER_BYTES : HEADER_BYTES + 2] = b"\xff\xff"
    path.write_bytes(data)
    shards = Shards.open(written)
    assert shards.read(1, 3).tolist() == FLAT[1:4]
    with pytest.raises(FormatError, match="the id 65535, outside its vocabulary of 400"):
        shards.read(0, 2)
    with pytest.raises(FormatError, match=r"tokens-00000\.bin' is damaged"):
        shards.verify()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, "does not say"),
        ({"version": 2}, "version 2; this Starloom knows version 1"),
        ({"num_tokens": 16}, "hold 15 tokens, but it says 16"),
        ({"num_tokens": -1}, "must be a count"),
        ({"num_bytes": "many"}, "must be a count"),
        ({"extra": 1}, "extra"),
        ({"shards": [{"name": "../tokens-00000.bin", "tokens": 15, "sha256": ""}]}, "no name of a shard"),
        ({"shards": [3]}, "damaged"),
        ({"shards": None}, "damaged"),
    ],
)
def test_a_damaged_index_is_refused(written: Path, changes: dict[str, object], message: str) -> None:
    path = written / "shards.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(FormatError, match=message):
        Shards.open(written)


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00", '{"format":' * 3000, '"' * 9])
def test_an_index_that_is_no_json_is_refused(written: Path, text: str) -> None:
    (written / "shards.json").write_text(text)
    with pytest.raises(FormatError, match=r"shards\.json"):
        Shards.open(written)
