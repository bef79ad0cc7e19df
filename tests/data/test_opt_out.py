import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starloom.cli import app
from starloom.core.errors import FormatError, InputError
from starloom.data.documents import Document, DocumentWriter, read_documents
from starloom.data.opt_out import OptOut, hash_of
from starloom.data.purge import purge

typer_testing = pytest.importorskip("typer.testing")

TEXT = "print('x')\n"
SHA256 = hashlib.sha256(TEXT.encode()).hexdigest()


def listed(path: Path, content: str) -> OptOut:
    path.write_text(content, encoding="utf-8")
    return OptOut.read([path])


def test_lists_are_read_and_joined(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(
        "# opt-out\n\nrepository Octocat/Hello-World  # a reason\nowner @hubot\n  repository https://github.com/a/b.git/\n"
    )
    (tmp_path / "b").write_bytes(f"\ufeffowner https://github.com/Acme/\r\nfile SHA256:{SHA256.upper()}\r\n".encode())
    opt_out = OptOut.read([tmp_path / "a", tmp_path / "b"])
    assert opt_out.repositories == {"octocat/hello-world", "a/b"}
    assert opt_out.owners == {"hubot", "acme"}
    assert opt_out.files == {f"sha256:{SHA256}"}
    assert len(opt_out) == 5
    assert opt_out.hash_kinds() == {"sha256"}


@pytest.mark.parametrize(
    ("repository", "hashes", "entry"),
    [
        ("octocat/hello", {}, "repository octocat/hello"),
        ("OctoCat/HELLO", {}, "repository octocat/hello"),
        ("octocat/hello2", {}, None),
        ("hubot/any/thing", {}, "owner hubot"),
        ("hubot", {}, None),
        ("hubot2/x", {}, None),
        ("click", {}, "repository click"),
        ("other", {"sha256": SHA256.upper(), "git": "0"}, f"file sha256:{SHA256}"),
        ("other", {"sha1": SHA256}, None),
        ("other", None, None),
    ],
)
def test_files_fall_under_entries(tmp_path: Path, repository: str, hashes: dict[str, str] | None, entry: str | None) -> None:
    opt_out = listed(tmp_path / "list", f"repository octocat/hello\nrepository click\nowner hubot\nfile sha256:{SHA256}\n")
    assert opt_out.match(repository, hashes) == entry


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("octocat/hello", "line 3.*begins with no known word"),
        ("repository", "line 3.*is not the name of a repository"),
        ("repository two words", "line 3.*'two words' is not the name"),
        ("owner a/b", "line 3.*is not the name of an owner"),
        ("file abc", "line 3.*names no hash"),
        ("file sha1:abc", "line 3.*40 hexadecimal digits"),
        ("file sha256:" + "g" * 64, "line 3.*64 hexadecimal digits"),
        ("file md5:" + "0" * 32, "line 3.*names no hash"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        listed(tmp_path / "list", f"# one\n\n{line}\n")


def test_lists_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent"):
        OptOut.read([tmp_path / "absent"])
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="binary"):
        OptOut.read([tmp_path / "binary"])


def test_hashes_are_those_of_git_and_software_heritage() -> None:
    assert hash_of(b"", "git") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert hash_of(b"hello\n", "git") == "ce013625030ba8dba906f756967f9e9ca394464a"
    assert hash_of(b"abc", "sha1") == "a9993e364706816aba3e25717850c26c9cd0d89d"
    assert hash_of(TEXT.encode(), "sha256") == SHA256


def documents(folder: Path, rows: list[tuple[str, str]]) -> list[Document]:
    made = [
        Document(repository, f"{i}.py", text, len(text), hash_of(text.encode(), "sha256"), "Python", "MIT", "x")
        for i, (repository, text) in enumerate(rows)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    with DocumentWriter(folder, "train", file_bytes=40) as writer:
        for document in made:
            writer.add(document)
    return made


ROWS = [("a/one", "x = 1\n"), ("b/two", TEXT), ("a/three", "z = 3\n"), ("c/four", TEXT + TEXT), ("b/two", "y = 2\n")]


def test_a_purge_removes_what_is_listed_and_nothing_else(tmp_path: Path) -> None:
    made = documents(tmp_path / "documents", ROWS)
    untouched = {path: path.read_bytes() for path in (tmp_path / "documents").iterdir()}
    opt_out = listed(tmp_path / "list", f"owner A\nfile sha256:{SHA256}\n")

    would = purge(tmp_path, opt_out, dry_run=True)
    assert {path: path.read_bytes() for path in (tmp_path / "documents").iterdir()} == untouched
    report = purge(tmp_path, opt_out)
    assert would == report
    assert list(read_documents(tmp_path / "documents")) == [made[3], made[4]]
    assert (report.read, report.removed) == (5, 3)
    assert report.entries == {"owner a": 2, f"file sha256:{SHA256}": 1}
    assert report.removed_files[0] == ("a/one", "0.py", "owner a")
    assert sorted(report.changed) == sorted(set(report.changed))
    values = json.loads(report.to_json())
    assert values["kept"] + values["removed"] == values["read"] == 5

    again = purge(tmp_path, opt_out)
    assert (again.read, again.removed, again.changed) == (2, 0, [])


def test_files_without_a_hit_are_not_written(tmp_path: Path) -> None:
    documents(tmp_path, ROWS)
    before = {path: (path.read_bytes(), path.stat().st_ino) for path in tmp_path.glob("*.parquet")}
    assert len(before) > 1
    report = purge(tmp_path, listed(tmp_path / "list", "repository c/four\n"))
    changed = [name for name in before if (name.read_bytes(), name.stat().st_ino) != before[name]]
    assert [path.name for path in changed] == report.changed
    assert len(changed) == 1


def test_schema_metadata_order_and_row_groups_stay(tmp_path: Path) -> None:
    schema = pa.schema(
        [
            pa.field("repository", pa.string(), nullable=False),
            pa.field("text", pa.large_string()),
            pa.field("n", pa.list_(pa.int8())),
        ],
        metadata={"a": "b"},
    )
    table = pa.table([["a/x", "b/y", "a/z", "c/w"], ["1", None, "3", "4"], [[1], None, [], [4]]], schema=schema)
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=2, compression="snappy")
    schema = pq.read_schema(tmp_path / "x.parquet")
    purge(tmp_path, listed(tmp_path / "list", f"repository b/y\nfile sha1:{hash_of(b'4', 'sha1')}\n"))
    with pq.ParquetFile(tmp_path / "x.parquet") as file:
        assert file.schema_arrow.equals(schema, check_metadata=True)
        assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [1, 1]
        assert file.read().to_pylist() == [table.to_pylist()[0], table.to_pylist()[2]]


def test_a_file_that_loses_all_rows_stays_readable(tmp_path: Path) -> None:
    documents(tmp_path, [("a/x", TEXT)])
    purge(tmp_path, OptOut(owners=frozenset({"a"})))
    assert list(read_documents(tmp_path)) == []


def test_a_damaged_file_stops_the_purge_before_anything_is_changed(tmp_path: Path) -> None:
    documents(tmp_path, ROWS)
    (tmp_path / "zz.parquet").write_bytes(b"PAR1 broken PAR1")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(FormatError, match=r"zz\.parquet.*nothing was changed"):
        purge(tmp_path, OptOut(owners=frozenset({"a"})))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_hash_that_cannot_be_compared_is_an_error(tmp_path: Path) -> None:
    pq.write_table(pa.table({"repository": ["a"], "sha256": ["0" * 64]}), tmp_path / "x.parquet")
    with pytest.raises(FormatError, match=r"no column for the list's git hashes: git_sha1, content_id or text"):
        purge(tmp_path, OptOut(files=frozenset({"git:" + "0" * 40})))
    assert purge(tmp_path, OptOut(files=frozenset({"sha256:" + "0" * 64}))).removed == 1


def test_folders_without_documents_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1]}), tmp_path / "x.parquet")
    with pytest.raises(InputError, match="column 'repository'"):
        purge(tmp_path, OptOut())
    with pytest.raises(InputError, match="is no folder"):
        purge(tmp_path / "absent", OptOut())


@given(st.lists(st.sampled_from(["a/x", "a/y", "b/x", "c/z"]), min_size=1, max_size=12), st.sets(st.sampled_from(["a/x", "b/x"])))
def test_kept_and_removed_are_what_was_read(repositories: list[str], gone: set[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pq.write_table(
            pa.table({"repository": repositories, "n": range(len(repositories))}), folder / "x.parquet", row_group_size=3
        )
        report = purge(folder, OptOut(repositories=frozenset(gone)))
        kept = pq.read_table(folder / "x.parquet").column("n").to_pylist()
        assert kept == [i for i, repository in enumerate(repositories) if repository not in gone]
        assert len(kept) + report.removed == report.read == len(repositories)


def test_the_command_line(tmp_path: Path) -> None:
    documents(tmp_path / "documents", ROWS)
    (tmp_path / "list").write_text("owner a\n")
    runner = typer_testing.CliRunner()
    arguments = ["data", "purge", str(tmp_path / "documents"), "--list", str(tmp_path / "list"), "--json"]
    dry = runner.invoke(app, [*arguments, "--dry-run"])
    assert json.loads(dry.stdout)["removed"] == 2
    assert "2 of 5 documents would go" in dry.stderr
    result = runner.invoke(app, [*arguments, "--report", str(tmp_path / "report.json")])
    assert json.loads(result.stdout) == json.loads((tmp_path / "report.json").read_text())
    assert "build those again" in result.stderr
    assert len(list(read_documents(tmp_path / "documents"))) == 3
