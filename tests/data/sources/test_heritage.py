import gzip
import hashlib
import os
import random
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from github_events import event, write_events
from heritage_samples import Heritage, git_id, snapshot_id
from source_samples import contents, git, refusals, write_folder

from starloom.core.errors import InputError, SettingsError
from starloom.data.sources.heritage import tables, trees
from starloom.data.sources.heritage.graph import HeritageGraph
from starloom.data.sources.heritage.selection import NO_BRANCH, SAME_TREE
from starloom.data.sources.heritage.stack_v2 import NOT_A_ROW, StackV2
from starloom.data.sources.heritage.tables import Graph
from starloom.data.sources.heritage.trees import Entry, files_below
from starloom.data.sources.rawfile import LINK, NOT_REGULAR, UNUSABLE_PATH, Limits
from starloom.data.sources.record import DAMAGED, MISSING, REPEATED, TOO_LARGE, ReadSettings, Record

SETTINGS = ReadSettings(buckets=3, workers=3)
FILES = {"LICENSE": b"MIT", "a.py": b"print(1)\n", "lib/b.c": b"int b;\n", "lib/deep/c.h": b"\xe9\n"}


def repository(folder: Path, files: dict[str, bytes], branch: str = "main", date: str = "2022-01-01T00:00:00Z") -> Path:
    write_folder(folder, files)
    git(folder, "init")
    git(folder, "add", "-A")
    git(folder, "commit", "-m", "first", date=date)
    git(folder, "branch", "-M", branch)
    return folder


def read(folder: Path, heritage: Heritage, settings: ReadSettings = SETTINGS, **options: Any) -> list[Record]:
    graph, store = heritage.write(folder / "swh")
    return list(HeritageGraph(graph, store, **options).records(settings))


def test_identifiers_are_those_of_software_heritage() -> None:
    assert snapshot_id({}) == "1a8893e6a86f444e8be8e7bda6cb34fb1735a00e"
    assert git_id("blob", b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


def test_a_repository_is_read_through_the_graph(tmp_path: Path) -> None:
    folder = repository(tmp_path / "one", FILES)
    (folder / "link").symlink_to("/etc/passwd")
    git(folder, "update-index", "--add", "--cacheinfo", "160000," + "1" * 40 + ",module")
    git(folder, "add", "link")
    git(folder, "commit", "-m", "second", date="2022-02-02T02:02:02Z")
    heritage = Heritage()
    heritage.add(folder, "own/one")
    records = read(tmp_path, heritage)
    assert contents(records) == FILES
    assert refusals(records) == {"link": LINK, "module": NOT_REGULAR}
    assert [record.path for record in records] == sorted(record.path for record in records)
    assert {(record.repository, record.revision) for record in records} == {("own/one", git(folder, "rev-parse", "HEAD"))}
    assert {record.date for record in records} == {"2022-02-02T02:02:02Z"}


def test_the_latest_full_visit_and_only_github(tmp_path: Path) -> None:
    heritage = Heritage()
    folder = repository(tmp_path / "one", {"a.py": b"old"})
    heritage.add(folder, "own/one", visit=1)
    write_folder(folder, {"a.py": b"new"})
    git(folder, "commit", "-am", "second")
    heritage.add(folder, "own/one", visit=2)
    write_folder(folder, {"a.py": b"newest"})
    git(folder, "commit", "-am", "third")
    heritage.add(folder, "own/one", visit=3, status="partial")
    row = heritage.rows["origin_visit_status"][0]
    heritage.rows["origin_visit_status"] += [
        row | {"origin": name} for name in ("https://gitlab.com/x/y", "https://github.com/x")
    ]
    heritage.rows["origin_visit_status"].append(row | {"origin": "https://github.com/x/none", "snapshot": None})
    assert contents(read(tmp_path, heritage)) == {"a.py": b"new"}


def branches(folder: Path) -> Path:
    repository(folder, {"a.py": b"main"})
    for branch, date in (("master", "2022-03-03T00:00:00Z"), ("develop", "2023-01-01T00:00:00Z")):
        git(folder, "checkout", "-b", branch, "main")
        write_folder(folder, {"a.py": branch.encode()})
        git(folder, "commit", "-am", branch, date=date)
    return folder


def pull_request(name: str, branch: str, licence: str | None, number: int, date: int = 1) -> dict[str, Any]:
    shown = {"id": number, "full_name": name, "default_branch": branch, "license": licence and {"spdx_id": licence}}
    return event("PullRequestEvent", "ann", date, {"action": "opened", "pull_request": {"base": {"repo": shown}}}, name)


def test_the_default_branch_of_the_events_or_the_latest_of_the_usual_ones(tmp_path: Path) -> None:
    heritage = Heritage()
    heritage.add(branches(tmp_path / "one"), "own/one", branches=("main", "master", "develop"))
    assert contents(read(tmp_path, heritage)) == {"a.py": b"master"}
    changed = [pull_request("Own/One", "main", None, 1, 1), pull_request("Own/One", "develop", "MIT", 1, 2)]
    write_events(tmp_path / "events" / "a.json.gz", changed)
    (record,) = read(tmp_path, heritage, events=str(tmp_path / "events"))
    assert (record.content, record.licence) == (b"develop", "MIT")
    write_events(tmp_path / "events" / "a.json.gz", [pull_request("own/one", "gone", None, 1)])
    (record,) = read(tmp_path, heritage, events=str(tmp_path / "events"))
    assert (record.repository, record.refused) == ("own/one", NO_BRANCH)


@pytest.mark.parametrize(
    ("events", "winner"),
    [
        ([], "own/old"),
        ([event("WatchEvent", "x", 1, {}, "own/new")], "own/new"),
        ([event("WatchEvent", "x", 1, {}, "own/new"), pull_request("own/old", "main", "MIT", 9)], "own/old"),
        ([event("ForkEvent", "x", 1, {"forkee": {"full_name": "x/new"}}, "own/new")], "own/new"),
        ([pull_request("own/old", "main", "MIT", 9), pull_request("own/new", "main", "Apache-2.0", 9)], "own/new"),
    ],
)
def test_of_repositories_with_the_same_tree_one_is_read(tmp_path: Path, events: list[dict[str, Any]], winner: str) -> None:
    heritage = Heritage()
    for name, year in (("new", 2022), ("old", 2021)):
        heritage.add(repository(tmp_path / name, FILES, date=f"{year}-01-01T00:00:00Z"), f"own/{name}")
    options = {"events": str(write_events(tmp_path / "events" / "a.json.gz", events).parent)} if events else {}
    records = read(tmp_path, heritage, **options)
    assert contents(records) == FILES
    assert {record.repository for record in records if record.content is not None} == {winner}
    (other,) = [record for record in records if record.refused]
    assert (other.refused, other.detail) == (SAME_TREE, winner)


def test_passes_and_batches_change_the_order_of_nothing(tmp_path: Path) -> None:
    heritage = Heritage()
    for number in range(5):
        heritage.add(repository(tmp_path / str(number), FILES | {"n": str(number).encode()}), f"own/{number}")
    one = read(tmp_path, heritage)
    assert one == read(tmp_path, heritage, batch=2, passes=3)
    assert len(one) == 5 * (len(FILES) + 1)


def test_contents_that_are_absent_damaged_or_large_cost_only_themselves(tmp_path: Path) -> None:
    files = {"absent": b"1", "unknown": b"2", "damaged": b"3", "cut": b"4" * 99, "other": b"5", "big": b"6" * 101, "bomb": b"7"}
    folder = repository(tmp_path / "one", FILES | files)
    heritage = Heritage()
    heritage.add(folder, "own/one")
    name = {path: hashlib.sha1(data).hexdigest() for path, data in files.items()}
    del heritage.contents[name["absent"]]
    heritage.rows["content"] = [row for row in heritage.rows["content"] if row["sha1"] != name["unknown"]]
    heritage.contents[name["damaged"]] = b"not gzip"
    heritage.contents[name["cut"]] = heritage.contents[name["cut"]][:-9]
    heritage.contents[name["other"]] = gzip.compress(b"something else")
    heritage.contents[name["bomb"]] = gzip.compress(bytes(10**7))
    records = read(tmp_path, heritage, ReadSettings(max_file_bytes=100))
    assert contents(records) == FILES
    expected = {"absent": MISSING, "unknown": MISSING, "damaged": DAMAGED, "cut": DAMAGED, "other": DAMAGED}
    assert refusals(records) == expected | {"big": TOO_LARGE, "bomb": TOO_LARGE}


@pytest.mark.parametrize("table", ["origin_visit_status", "snapshot_branch", "revision", "directory_entry", "content"])
@pytest.mark.parametrize("damage", ["cut", "garbage", "absent", "columns"])
def test_a_corrupt_table_is_one_clear_error(tmp_path: Path, table: str, damage: str) -> None:
    heritage = Heritage()
    heritage.add(repository(tmp_path / "one", FILES), "own/one")
    graph, store = heritage.write(tmp_path / "swh")
    for place in Path(graph, table).glob("*.orc"):
        if damage == "absent":
            place.unlink()
        elif damage == "columns":
            pa.orc.write_table(pa.table({"x": [1]}), place)
        else:
            place.write_bytes(place.read_bytes()[:-50] if damage == "cut" else os.urandom(500))
    with pytest.raises(InputError, match=table):
        list(HeritageGraph(graph, store).records(SETTINGS))


def test_damage_anywhere_in_a_table_is_an_error_or_harmless(tmp_path: Path) -> None:
    rows = pa.table({"id": [f"{number:040x}" for number in range(300)], "name": [b"%d" % number for number in range(300)]})
    file = tmp_path / "t" / "0.orc"
    file.parent.mkdir()
    pa.orc.write_table(rows, file, compression="zstd")
    whole, errors = file.read_bytes(), 0
    with Graph(str(tmp_path)) as graph:
        for seed in range(60):
            draw, data = random.Random(seed), bytearray(whole)
            for _ in range(draw.randint(1, 4)):
                data[draw.randrange(len(data))] = draw.randrange(256)
            file.write_bytes(data)
            try:
                assert sum(batch.num_rows for batch in graph.read("t", ("id", "name"))) <= 300
            except InputError:
                errors += 1
        file.write_bytes(whole)
        assert sum(batch.num_rows for batch in graph.read("t", ("id", "name"))) == 300
    assert errors > 20


def test_a_reader_that_crashes_or_is_left_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Heritage().write(tmp_path)
    with Graph(str(tmp_path / "orc")) as graph:
        monkeypatch.setattr(tables, "_READER", "no.such.module")
        with pytest.raises(InputError, match="its reader crashed"):
            list(graph.read("revision", ("id",)))
        monkeypatch.undo()
        next(graph.read("revision", ("id",)), None)
        assert sum(batch.num_rows for batch in graph.read("revision", ("id",))) == 0


def test_trees_that_no_git_would_write() -> None:
    ring = {"r": [Entry(b"a", "dir", "r", 0o40000), Entry(b"f", "file", "x", 0o100644)]}
    found = list(files_below("r", ring, Limits()))
    assert len(found) == trees.DEEPEST + 2
    assert [file.refused for file in found if file.refused] == [trees.TOO_DEEP]
    wide = {"r": [Entry(bytes([letter]), "dir", "r", 0) for letter in b"ab"]}
    assert list(files_below("r", wide, Limits(files=1000)))[-1].refused == trees.MANY_FILES
    names = [b"", b".", b"..", b"a/b", b"\xff", b"a\nb", b"ok"]
    strange = {"r": [Entry(name, "file", "x", 0o100644) for name in names], "big": None}
    assert [file.refused for file in files_below("r", strange, Limits())] == [UNUSABLE_PATH] * 6 + [None]
    assert [file.refused for file in files_below("big", strange, Limits())] == [trees.LARGE_DIRECTORY]
    assert [file.refused for file in files_below("gone", strange, Limits())] == [trees.MISSING_DIRECTORY]


def test_a_folder_with_too_many_entries_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "LARGEST_DIRECTORY", 3)
    heritage = Heritage()
    heritage.add(repository(tmp_path / "one", {"a": b"1"} | {f"big/{number}": b"2" for number in range(4)}), "own/one")
    assert refusals(read(tmp_path, heritage)) == {"big": trees.LARGE_DIRECTORY}


def file_row(path: str, data: bytes, **changed: Any) -> dict[str, Any]:
    row = {"blob_id": hashlib.sha1(data).hexdigest(), "path": path, "length_bytes": len(data), "language": "Python"}
    return (
        row | {"src_encoding": "UTF-8", "detected_licenses": ["MIT", "Apache-2.0"], "content_id": git_id("blob", data)} | changed
    )


REPOSITORY = {"repo_name": "own/one", "revision_id": "1" * 40, "revision_date": datetime(2022, 1, 2), "star_events_count": 3,
              "gha_license_id": "BSD-3-Clause"}  # fmt: skip


def store(folder: Path, *contents: bytes) -> str:
    (folder / "content").mkdir(exist_ok=True)
    for data in contents:
        (folder / "content" / hashlib.sha1(data).hexdigest()).write_bytes(gzip.compress(data))
    return str(folder / "content")


def test_both_tables_of_the_stack_give_the_same_records(tmp_path: Path) -> None:
    files = [file_row("/b.py", b"b"), file_row("/a/c.py", b"\xe9", src_encoding="ISO-8859-1", detected_licenses=[])]
    other = REPOSITORY | {"repo_name": "own/two"}
    rows = [REPOSITORY | files[0], other | file_row("/x.py", b"x"), REPOSITORY | files[1]]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "files.parquet")
    grouped = [REPOSITORY | {"files": files}, other | {"files": [file_row("/x.py", b"x")]}]
    pq.write_table(pa.Table.from_pylist(grouped), tmp_path / "repositories.parquet")
    place = store(tmp_path, b"b", b"\xe9", b"x")
    one, two = (
        list(StackV2(str(tmp_path / name), place).records(SETTINGS)) for name in ("files.parquet", "repositories.parquet")
    )
    assert one == two
    first = {record.path: record for record in one if record.repository == "own/one"}
    assert [record.path for record in one if record.repository == "own/one"] == ["a/c.py", "b.py"]
    assert (first["b.py"].content, first["b.py"].licence, first["b.py"].stars) == (b"b", "Apache-2.0 AND MIT", 3)
    assert (first["a/c.py"].encoding, first["a/c.py"].licence) == ("ISO-8859-1", "BSD-3-Clause")
    assert first["b.py"].date == "2022-01-02T00:00:00Z"


def test_rows_of_the_stack_that_cannot_be_read(tmp_path: Path) -> None:
    rows = [
        file_row("/twice.py", b"1"),
        file_row("/twice.py", b"1"),
        file_row("/../../up.py", b"2"),
        file_row("/huge.py", b"3", length_bytes=10 * 2**30),
        file_row("/gone.py", b"4"),
        file_row("/no.py", b"5", blob_id=None),
        file_row("", b"6"),
        file_row("/bad.py", b"7", blob_id="../../etc/passwd"),
    ]
    pq.write_table(pa.Table.from_pylist([REPOSITORY | row for row in rows]), tmp_path / "files.parquet")
    records = list(StackV2(str(tmp_path / "files.parquet"), store(tmp_path, b"1", b"2", b"3")).records(SETTINGS))
    assert len(records) == len(rows)
    assert contents(records) == {"twice.py": b"1"}
    expected = {"twice.py": REPEATED, "../../up.py": UNUSABLE_PATH, "huge.py": TOO_LARGE, "gone.py": MISSING}
    assert refusals(records) == expected | {"no.py": NOT_A_ROW, "": NOT_A_ROW, "bad.py": MISSING}


@pytest.mark.parametrize("data", [b"", b"PAR1", os.urandom(100)])
def test_what_is_no_table_of_the_stack(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.parquet").write_bytes(data)
    with pytest.raises(InputError, match="not a readable Parquet file"):
        list(StackV2(str(tmp_path / "x.parquet"), str(tmp_path)).records(SETTINGS))
    pq.write_table(pa.table({"x": [1]}), tmp_path / "x.parquet")
    with pytest.raises(InputError, match="holds no table of The Stack v2"):
        list(StackV2(str(tmp_path / "x.parquet"), str(tmp_path)).records(SETTINGS))


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"length_bytes": "12"}, "length_bytes"),
        ({"length_bytes": 0.5}, "length_bytes"),
        ({"star_events_count": "many"}, "star_events_count"),
        ({"repo_name": 7}, "repo_name"),
        ({"detected_licenses": "MIT"}, "detected_licenses"),
        ({"files": "a.py"}, "files"),
    ],
)
def test_a_column_of_another_type_is_named(tmp_path: Path, changed: dict[str, Any], name: str) -> None:
    pq.write_table(pa.Table.from_pylist([REPOSITORY | file_row("/a.py", b"a") | changed]), tmp_path / "x.parquet")
    with pytest.raises(InputError, match=f"holds no table of The Stack v2: its {name} is"):
        list(StackV2(str(tmp_path / "x.parquet"), store(tmp_path, b"a")).records(SETTINGS))


def test_whole_numbers_may_be_written_as_fractions_and_lists_have_gaps(tmp_path: Path) -> None:
    file = file_row("/a.py", b"a", length_bytes=1.0, detected_licenses=["MIT", None])
    rows = [REPOSITORY | {"star_events_count": 3.0, "files": [file, None]}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x.parquet")
    stack = StackV2(str(tmp_path / "x.parquet"), store(tmp_path, b"a"))
    assert stack.text_bytes() == 1
    record, nothing = stack.records(SETTINGS)
    assert nothing.refused == NOT_A_ROW
    assert (record.path, record.licence, record.size, record.stars) == ("a.py", "MIT", 1, 3)
    assert {type(record.size), type(record.stars), type(stack.text_bytes())} == {int}


@pytest.mark.parametrize(("part", "parts"), [(0, 0), (2, 2), (-1, 1)])
def test_a_part_is_one_of_its_parts(part: int, parts: int) -> None:
    with pytest.raises(SettingsError, match=f"part is {part} of {parts} parts"):
        StackV2("x.parquet", "content", part, parts)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[fsspec.AbstractFileSystem]:
    """An object store on loopback."""
    server_module = pytest.importorskip("moto.server")
    s3fs = pytest.importorskip("s3fs")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    s3fs.S3FileSystem.clear_instance_cache()
    filesystem = s3fs.S3FileSystem()
    filesystem.mkdir("softwareheritage")
    yield filesystem
    server.stop()
    s3fs.S3FileSystem.clear_instance_cache()


def test_object_storage_gives_what_a_folder_gives(tmp_path: Path, s3: fsspec.AbstractFileSystem) -> None:
    heritage = Heritage()
    heritage.add(repository(tmp_path / "one", FILES | {"gone": b"gone"}), "own/one")
    del heritage.contents[hashlib.sha1(b"gone").hexdigest()]
    local = read(tmp_path, heritage)
    s3.put(str(tmp_path / "swh" / "orc"), "softwareheritage/graph/2023-09-06/orc", recursive=True)
    s3.put(str(tmp_path / "swh" / "content"), "softwareheritage/content", recursive=True)
    source = HeritageGraph("s3://softwareheritage/graph/2023-09-06/orc", "s3://softwareheritage/content")
    assert list(source.records(SETTINGS)) == local
    assert contents(local) == FILES
