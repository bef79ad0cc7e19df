from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starloom.core.errors import FormatError
from starloom.data.documents import SCHEMA, SCHEMA_VERSION, Document, DocumentWriter, read_documents

_names = st.text(st.characters(codec="utf-8"), max_size=20)
_documents = st.builds(
    Document, _names, _names, _names, st.integers(0, 2**62), st.just("ab" * 32), _names, st.none() | _names, _names
)


def write(folder: Path, documents: list[Document], file_bytes: int = 2**20) -> None:
    folder.mkdir()
    with DocumentWriter(folder, "train", file_bytes=file_bytes) as writer:
        for document in documents:
            writer.add(document)


@settings(max_examples=30, deadline=None)
@given(documents=st.lists(_documents, max_size=8))
def test_documents_come_back(documents: list[Document], tmp_path_factory: pytest.TempPathFactory) -> None:
    base = tmp_path_factory.mktemp("documents")
    write(base / "one", documents)
    write(base / "other", documents)
    assert list(read_documents(base / "one")) == documents
    for file in (base / "one").iterdir():
        assert file.read_bytes() == (base / "other" / file.name).read_bytes()


def test_files_are_split_by_size_and_read_in_order(tmp_path: Path) -> None:
    documents = [Document("r", f"{number}.py", "x" * 10, 10, "00", "Python", "MIT", "LICENSE") for number in range(7)]
    write(tmp_path / "d", documents, file_bytes=20)
    names = sorted(file.name for file in (tmp_path / "d").iterdir())
    assert names == [f"train-0000{number}.parquet" for number in range(4)]
    assert list(read_documents(tmp_path / "d")) == documents


def test_the_schema_is_written_with_its_version(tmp_path: Path) -> None:
    write(tmp_path / "d", [Document("r", "a", "t", 1, "00", "Python", None, "")])
    schema = pq.read_schema(tmp_path / "d" / "train-00000.parquet")
    assert schema.equals(SCHEMA)
    assert schema.metadata[b"starloom.documents"].decode() == SCHEMA_VERSION


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(FormatError, match="not a readable Parquet file"):
        list(read_documents(tmp_path / "a.parquet"))
    pq.write_table(pa.table({"x": [1]}), tmp_path / "b.parquet")
    with pytest.raises(FormatError, match="does not hold documents"):
        list(read_documents(tmp_path / "b.parquet"))
