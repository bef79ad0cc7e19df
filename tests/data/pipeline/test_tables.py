"""Aligned columns, rows on their way, and markers."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starloom.core.errors import FormatError
from starloom.data.pipeline.columns import Aligned, cut, write_file
from starloom.data.pipeline.lists import rules_of
from starloom.data.pipeline.markers import (
    Fingerprints,
    Marker,
    digest,
    is_done,
    output_name,
    read_markers,
    unfinished,
    write_marker,
)
from starloom.data.pipeline.plan import make_plan
from starloom.data.pipeline.settings import DataSettings, NearSettings
from starloom.data.pipeline.shuffle import buckets_of, read_rows, rows_of, shards_of, write_rows
from starloom.data.pipeline.stages import decontamination, licences, redaction
from starloom.data.pipeline.storage import Storage
from starloom.data.pipeline.task import processor_seconds

_A = pa.schema([("a", pa.int64())])
_B = pa.schema([("b", pa.string()), ("dropped", pa.string())])


def test_columns_of_several_files_are_read_together_group_by_group(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    a = pa.table({"a": range(5)}, schema=_A)
    b = pa.table({"b": list("vwxyz"), "dropped": [None] * 5}, schema=_B)
    assert write_file(storage, "one/0", _A, cut(a, [2, 3])).rows == 5
    write_file(storage, "two/0", _B, cut(b, [2, 3]))
    aligned = Aligned(storage, {"b": "two/0", "a": "one/0", "two.dropped": "two/0"})
    assert [table.num_rows for table in aligned.groups()] == aligned.group_sizes() == [2, 3]
    assert aligned.table().to_pydict() == {"b": list("vwxyz"), "a": [0, 1, 2, 3, 4], "two.dropped": [None] * 5}


def test_a_shard_without_rows_is_a_table(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    write_file(storage, "one/0", _A, ())
    aligned = Aligned(storage, {"a": "one/0"})
    assert list(aligned.groups()) == []
    assert aligned.table().num_rows == 0


def test_files_that_do_not_belong_together_are_named(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    write_file(storage, "one/0", _A, [pa.table({"a": [1]}, schema=_A)])
    write_file(storage, "two/0", _B, [pa.table({"b": ["x", "y"], "dropped": [None, None]}, schema=_B)])
    with pytest.raises(FormatError, match="two/0' has 2 rows and"):
        Aligned(storage, {"a": "one/0", "b": "two/0"}).table()


@pytest.mark.parametrize("keep", [0, 3, 40, -8])
def test_damage_is_named(keep: int, tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    write_file(storage, "one/0", _A, [pa.table({"a": range(1000)}, schema=_A)])
    path = tmp_path / "one" / "0"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(FormatError, match="one/0' is damaged"):
        Aligned(storage, {"a": "one/0"}).table()


def test_damage_in_the_middle_is_named(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    write_file(storage, "one/0", _A, [pa.table({"a": np.random.default_rng(0).integers(0, 2**62, 5000)}, schema=_A)])
    path = tmp_path / "one" / "0"
    data = bytearray(path.read_bytes())
    data[100:2000] = bytes(1900)
    path.write_bytes(data)
    with pytest.raises(FormatError, match="one/0' is damaged"):
        list(Aligned(storage, {"a": "one/0"}).groups())


@given(st.lists(st.integers(0, 2**64 - 1), max_size=40), st.integers(1, 9), st.integers(1, 3))
def test_every_row_arrives_once_in_the_bucket_of_its_key(
    tmp_path_factory: pytest.TempPathFactory, keys: list[int], buckets: int, senders: int
) -> None:
    storage = Storage(str(tmp_path_factory.mktemp("rows")))
    schema = pa.schema([("key", pa.uint64()), ("place", pa.int64())])
    names = []
    for sender in range(senders):
        places = range(sender, len(keys), senders)
        table = pa.table({"key": [keys[place] for place in places], "place": places}, schema=schema)
        write_rows(storage, f"{sender}", table, buckets_of(table.column("key").to_numpy(), buckets), buckets)
        names.append(f"{sender}")
    got = [read_rows(storage, names, bucket, schema).to_pydict() for bucket in range(buckets)]
    assert sorted(place for table in got for place in table["place"]) == list(range(len(keys)))
    for bucket, table in enumerate(got):
        assert [key * buckets >> 64 for key in table["key"]] == [bucket] * len(table["key"])


@pytest.mark.parametrize("place", [0, 28, 33, 70, 100, -1])
def test_damage_of_rows_on_their_way_is_named(place: int, tmp_path: Path) -> None:
    storage, schema = Storage(str(tmp_path)), pa.schema([("key", pa.uint64())])
    write_rows(storage, "sent/0", pa.table({"key": [7, 8]}, schema=schema), np.array([2, 0]), 3)
    assert [read_rows(storage, ["sent/0"], part, schema).to_pydict()["key"] for part in range(3)] == [[8], [], [7]]
    path = tmp_path / "sent" / "0"
    whole = path.read_bytes()
    for damaged in (whole[:place], whole[:place] + bytes([whole[place] ^ 1]) + whole[place:][1:]):
        path.write_bytes(damaged)
        with pytest.raises(FormatError, match="sent/0' is damaged"):
            [read_rows(storage, ["sent/0"], part, schema) for part in range(3)]


def test_a_row_for_nobody_is_not_lost_in_silence(tmp_path: Path) -> None:
    schema = pa.schema([("key", pa.uint64())])
    for receiver in (3, -1):
        with pytest.raises(AssertionError, match="every row has a receiver"):
            write_rows(Storage(str(tmp_path)), "sent/0", pa.table({"key": [7]}, schema=schema), np.array([receiver]), 3)


def test_a_reader_takes_its_entry_and_its_piece_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage, schema = Storage(str(tmp_path)), pa.schema([("key", pa.uint64())])
    keys = np.arange(50_000, dtype=np.uint64)
    written = write_rows(storage, "sent/0", pa.table([keys], schema=schema), np.arange(50_000) % 1000, 1000)
    taken: list[int] = []

    def read_range(self: Storage, name: str, start: int, length: int) -> bytes:
        taken.append(length)
        return (tmp_path / name).read_bytes()[start : start + length]

    monkeypatch.setattr(Storage, "read_range", read_range)
    assert read_rows(storage, ["sent/0"], 999, schema).num_rows == 50
    assert sum(taken) < 2 * written.bytes / 1000


@given(st.integers(0, 2**30), st.integers(0, 2**32 - 1))
def test_an_id_names_its_shard_and_row(shard: int, row: int) -> None:
    ids = np.array([shard << 32 | row], dtype=np.int64)
    assert (int(shards_of(ids)[0]), int(rows_of(ids)[0])) == (shard, row)


def test_a_part_is_done_when_its_marker_says_so(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    written = write_file(storage, output_name("one", 0), _A, [pa.table({"a": [1]}, schema=_A)])
    assert not is_done(storage, "one", 0, "f")
    write_marker(storage, "one", 0, Marker("f", written.rows, written.bytes, 0.0, 0.0))
    assert is_done(storage, "one", 0, "f")
    assert not is_done(storage, "one", 0, "g")
    storage.remove(output_name("one", 0))
    assert not is_done(storage, "one", 0, "f")


def test_a_fingerprint_is_of_all_that_a_part_depends_on() -> None:
    def prints(settings: DataSettings, sources: tuple[str, ...], buckets: int = 4) -> Fingerprints:
        return Fingerprints(make_plan(settings), sources, buckets)

    base = prints(DataSettings(), ("s", "t"))
    other = prints(DataSettings(), ("s", "u"))
    assert base.of("licences", 0) == other.of("licences", 0)
    assert base.of("licences", 1) != other.of("licences", 1)
    assert base.of("exact_survivors", 0) != other.of("exact_survivors", 0), "a bucket hears of all shards"
    assert base.of("exact", 0) != other.of("exact", 0)
    strict = prints(DataSettings(near=NearSettings(threshold=0.9)), ("s", "t"))
    assert base.of("exact", 0) == strict.of("exact", 0)
    assert base.of("near", 0) != strict.of("near", 0)
    fewer = prints(DataSettings(), ("s", "t"), 3)
    assert base.of("licences", 0) == fewer.of("licences", 0)
    assert base.of("exact_digests", 0) != fewer.of("exact_digests", 0)
    assert digest("a", ["b"]) != digest("a", "b")


def test_other_rules_are_other_fingerprints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def prints() -> dict[str, str]:
        known = Fingerprints(make_plan(DataSettings()), ("s",), 4)
        return {step: known.of(step, 0) for step in ("languages", "licence_evidence", "licences", "quality", "redaction")}

    before = prints()
    monkeypatch.setattr(licences, "MATCHER_VERSION", licences.MATCHER_VERSION + 1)
    assert [step for step, known in prints().items() if known != before[step]] == list(before)[1:]
    monkeypatch.undo()
    monkeypatch.setattr(redaction, "rules_of", "another {}".format)
    assert [step for step, known in prints().items() if known != before[step]] == ["redaction"]
    tasks = (str(tmp_path),)
    old = decontamination.decontamination_step(tasks).settings
    monkeypatch.setattr(decontamination, "rules_of", "another {}".format)
    assert decontamination.decontamination_step(tasks).settings != old
    assert decontamination.decontamination_step(()).settings == {"benchmarks": []}, "without benchmarks no rule counts"


def test_the_rules_of_a_package_are_known_by_their_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "some_rules").mkdir()
    rules = tmp_path / "some_rules" / "__init__.py"
    rules.write_text("LEAST = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    first = rules_of("some_rules")
    rules.write_text("LEAST = 2\n")
    rules_of.cache_clear()
    assert rules_of("some_rules") != first
    module = tmp_path / "some_rules" / "more.py"
    module.write_text("MOST = 1\n")
    first = rules_of("some_rules.more")
    module.write_text("MOST = 2\n")
    rules_of.cache_clear()
    assert rules_of("some_rules.more") != first


def test_processor_time_counts_processes_that_have_ended() -> None:
    before, own = processor_seconds(), time.process_time()
    work = "import time\nwhile time.process_time() < 0.5: pass"
    subprocess.run([sys.executable, "-c", work], check=True)
    assert processor_seconds() - before - (time.process_time() - own) >= 0.4


def test_parts_without_their_marker_are_unfinished(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    assert unfinished(storage, "one", ["a"] * 3) == [0, 1, 2]
    for part, fingerprint in ((0, "a"), (2, "old"), (3, "a")):
        written = write_file(storage, output_name("one", part), _A, [pa.table({"a": [1]}, schema=_A)])
        write_marker(storage, "one", part, Marker(fingerprint, written.rows, written.bytes, 0.0, 0.0))
    assert unfinished(storage, "one", ["a"] * 5) == [1, 2, 4]
    assert [marker.fingerprint for marker in read_markers(storage, "one", 5)] == ["a", "old", "a"]
