import dataclasses
import errno
import hashlib
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from starloom.contract.contract import Contract
from starloom.contract.shards import Shards
from starloom.contract.tokenizer import Tokenizer
from starloom.core.errors import InputError, SettingsError
from starloom.data import sequences
from starloom.data.build import BuildConfig, build
from starloom.data.documents import read_documents
from starloom.data.sequences import TokenCount

MIT = "Permission is hereby granted, free of charge, to any person obtaining a copy of this software"
GPL = "under the terms of the GNU General Public License"


def program(name: str, lines: int = 30) -> str:
    return "".join(f"def {name}_{number}(argument):\n    return argument + {name!r} * {number}\n\n" for number in range(lines))


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    """A wheel, a source archive and a folder; `held` repeats what others have."""
    wheel = tmp_path / "in" / "Alpha_Pkg-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("alpha/a.py", program("alpha"))
        archive.writestr("alpha/shared.py", program("shared"))
        archive.writestr("alpha/near.py", program("held").replace("held_3(", "changed("))
        archive.writestr("alpha/empty.py", "")
        archive.writestr("alpha/data.bin", b"\0\1")
        archive.writestr("alpha/latin.py", b"x = '\xe9'")
        archive.writestr("alpha/_vendor/gpl/LICENSE", GPL)
        archive.writestr("alpha/_vendor/gpl/b.py", program("vendored"))
        archive.writestr("alpha_pkg-1.0.dist-info/METADATA", "Name: Alpha.Pkg\nVersion: 1.0\nLicense-Expression: MIT\n")
    beta = tmp_path / "beta-2.0"
    for name, text in {
        "PKG-INFO": "Name: beta\nVersion: 2.0\nLicense: MIT\n",
        "src/b.py": program("beta"),
        "src/copy.py": program("shared"),
        "src/b.c": "int main(void) { return 0; }\n",
        "big.py": "x = 'abc'\n" * 20_000,
    }.items():
        (beta / name).parent.mkdir(parents=True, exist_ok=True)
        (beta / name).write_text(text)
    with tarfile.open(tmp_path / "in" / "beta-2.0.tar.gz", "w:gz") as packed:
        packed.add(beta, "beta-2.0")
    held = tmp_path / "in" / "held"
    held.mkdir()
    for name, text in {"LICENSE": MIT, "h.py": program("held"), "again.py": program("again")}.items():
        (held / name).write_text(text)
    return [wheel, tmp_path / "in" / "beta-2.0.tar.gz", held]


def config_of(sources: list[Path], out: Path, **values: Any) -> BuildConfig:
    values = {"validation": ("held",), "languages": ("Python",), "max_file_bytes": 100_000} | values
    return BuildConfig(tuple(sources), out, **values)


def digest(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def dropped(out: Path) -> dict[str, str]:
    rows = pq.read_table(out / "dropped.parquet").to_pylist()
    return {f"{row['repository']}/{row['path']}": row["reason"] for row in rows}


def test_every_file_is_a_document_or_dropped_with_its_reason(sources: list[Path], tmp_path: Path) -> None:
    report = build(config_of(sources, tmp_path / "out"))
    documents = {f"{d.repository}/{d.path}": d for d in read_documents(tmp_path / "out" / "documents")}
    assert sorted(documents) == [
        "Alpha.Pkg/alpha/a.py",
        "Alpha.Pkg/alpha/shared.py",
        "beta/src/b.py",
        "held/again.py",
        "held/h.py",
    ]
    assert dropped(tmp_path / "out") == {
        "Alpha.Pkg/alpha/near.py": "near duplicate",
        "Alpha.Pkg/alpha/empty.py": "empty",
        "Alpha.Pkg/alpha/data.bin": "language unknown",
        "Alpha.Pkg/alpha/latin.py": "not UTF-8",
        "Alpha.Pkg/alpha/_vendor/gpl/LICENSE": "language unknown",
        "Alpha.Pkg/alpha/_vendor/gpl/b.py": "licence not permissive",
        "Alpha.Pkg/alpha_pkg-1.0.dist-info/METADATA": "language unknown",
        "beta/PKG-INFO": "language unknown",
        "beta/src/copy.py": "exact duplicate",
        "beta/src/b.c": "language not asked for",
        "beta/big.py": "too large",
        "held/LICENSE": "language unknown",
    }
    assert report.read.files == report.num_kept + sum(count.files for count in report.dropped.values()) == 17
    assert report.read.bytes == sum(count.bytes for count in (*report.kept.values(), *report.dropped.values()))
    document = documents["Alpha.Pkg/alpha/a.py"]
    assert (document.licence, document.licence_source) == ("MIT", "alpha_pkg-1.0.dist-info/METADATA: License-Expression")
    assert document.size == len(document.text.encode())
    assert document.sha256 == hashlib.sha256(document.text.encode()).hexdigest()
    train = [d.repository for d in read_documents(tmp_path / "out" / "documents" / "train-00000.parquet")]
    assert set(train) == {"Alpha.Pkg", "beta"}
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == json.loads(report.to_json())
    assert [(line.repository, line.version, line.split) for line in report.repositories] == [
        ("Alpha.Pkg", "1.0", "train"),
        ("beta", "2.0", "train"),
        ("held", None, "validation"),
    ]


def test_any_licence_and_no_near_duplicates(sources: list[Path], tmp_path: Path) -> None:
    report = build(
        config_of(sources, tmp_path / "out", licences="any", near_duplicates=False, exclude=("*/again.py", "again.py"))
    )
    assert report.licences["MIT AND GPL-1.0-or-later"].files == 1
    assert "near duplicate" not in report.dropped
    assert report.dropped["excluded by pattern"].files == 1


def test_the_same_input_gives_the_same_bytes(sources: list[Path], tmp_path: Path) -> None:
    build(config_of(sources, tmp_path / "one", vocab_size=400))
    build(config_of(sources[::-1], tmp_path / "two", vocab_size=400))
    assert digest(tmp_path / "one") == digest(tmp_path / "two")
    build(config_of(sources, tmp_path / "three", vocab_size=400, seed=1))
    assert digest(tmp_path / "one") != digest(tmp_path / "three")


def test_sequences_hold_whole_repositories(sources: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = build(config_of(sources, out, vocab_size=500, metadata_probability=1.0))
    tokenizer = Tokenizer.open(out / "tokenizer")
    shards = Shards.open(out / "tokens" / "validation", tokenizer)
    assert report.tokens["validation"] == TokenCount(len(shards), 1, 2)
    ids = shards.read(0, len(shards)).tolist()
    text = tokenizer.decode(ids, special=True)
    files = [f"{d.path}\n{d.text}" for d in read_documents(out / "documents" / "validation-00000.parquet")]
    joined = [f"<repo_name>held<file_sep>{'<file_sep>'.join(order)}<|endoftext|>" for order in (files, files[::-1])]
    assert text in joined
    assert Shards.open(out / "tokens" / "train", tokenizer).num_sequences == 2


def test_metadata_is_left_out_when_not_asked_for(sources: list[Path], tmp_path: Path) -> None:
    build(config_of(sources, tmp_path / "out", vocab_size=500, metadata_probability=0.0))
    tokenizer = Tokenizer.open(tmp_path / "out" / "tokenizer")
    shards = Shards.open(tmp_path / "out" / "tokens" / "train", tokenizer)
    ids = shards.read(0, len(shards)).tolist()
    assert Contract(tokenizer).marks.repo_name not in ids
    assert "src/b.py" not in tokenizer.decode(ids)


def test_large_repositories_become_several_sequences(
    sources: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequences, "SEQUENCE_BYTES", 1)
    report = build(config_of(sources, tmp_path / "out", vocab_size=500))
    assert report.tokens["train"].sequences == report.tokens["train"].documents == 3


def test_a_tokenizer_that_is_given_is_used_and_kept_beside_the_shards(sources: list[Path], tmp_path: Path) -> None:
    Tokenizer.train([program("x")], 300).save(tmp_path / "tokenizer")
    report = build(config_of(sources, tmp_path / "out", tokenizer=tmp_path / "tokenizer"))
    assert report.tokenizer is not None
    assert report.tokenizer["trained_here"] is False
    kept = Tokenizer.open(tmp_path / "out" / "tokenizer")
    assert kept.fingerprint == Tokenizer.open(tmp_path / "tokenizer").fingerprint
    Shards.open(tmp_path / "out" / "tokens" / "train", kept)


def test_bytes_that_the_tokenizer_lacks_drop_the_document(tmp_path: Path) -> None:
    published = Path(__file__).parents[3] / "shared" / "data" / "tokenizer"
    vocabularies = sorted(published.glob("*.gguf")) if published.is_dir() else []
    if not vocabularies:
        pytest.skip("needs the published vocabulary in ../shared/data/tokenizer")
    folder = tmp_path / "x"
    folder.mkdir()
    for name, text in {"LICENSE": MIT, "good.py": program("good"), "bad.py": program("bad") + "# \U00040000"}.items():
        (folder / name).write_text(text)
    build(config_of([folder], tmp_path / "out", validation=(), tokenizer=vocabularies[0]))
    assert dropped(tmp_path / "out")["x/bad.py"] == "bytes that the tokenizer lacks"


def test_a_damaged_source_stops_the_build_or_is_reported(sources: list[Path], tmp_path: Path) -> None:
    bad = tmp_path / "in" / "bad-1.0.zip"
    bad.write_bytes(b"PK no")
    with pytest.raises(InputError, match="is damaged"):
        build(config_of([*sources, bad], tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    report = build(config_of([*sources, bad], tmp_path / "out", validation=("held", "bad"), keep_going=True))
    assert [failure.source for failure in report.failed] == ["bad-1.0.zip"]
    assert str(tmp_path) not in (tmp_path / "out" / "report.json").read_text()


def test_a_full_disk_leaves_nothing(sources: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for place in ("_write_dropped", "_drop_near_duplicates", "write_shards", "write_text"):
        with monkeypatch.context() as patch:
            patch.setattr(f"starloom.data.build.{place}", full)
            with pytest.raises(OSError, match="No space left"):
                build(config_of(sources, tmp_path / "made" / "out", vocab_size=400))
        assert list((tmp_path / "made").iterdir()) == []


def test_what_is_there_is_not_touched(sources: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "precious").write_text("1")
    with pytest.raises(InputError, match="exists already"):
        build(config_of(sources, out))
    assert digest(out) == {"precious": hashlib.sha256(b"1").hexdigest()}


def test_names_that_do_not_fit_are_errors(sources: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'alpha-pkgs' is not among the sources; did you mean Alpha\.Pkg"):
        build(config_of(sources, tmp_path / "out", validation=("alpha-pkgs",)))
    twin = tmp_path / "other" / "held"
    twin.mkdir(parents=True)
    with pytest.raises(InputError, match="are both called 'held'"):
        build(config_of([*sources, twin], tmp_path / "out"))
    with pytest.raises(InputError, match=r"none of 3 files was kept \(2 language not asked for"):
        build(config_of([sources[2]], tmp_path / "out", languages=("C",), validation=()))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "values",
    [
        {"sources": ()},
        {"tokenizer": Path("x"), "vocab_size": 400},
        {"metadata_probability": 1.5},
        {"max_file_bytes": 0},
        {"tokenizer_bytes": 0},
        {"licences": "some"},
    ],
)
def test_settings_that_cannot_work_are_refused(values: dict[str, Any]) -> None:
    good = BuildConfig((Path("a"),), Path("out"))
    with pytest.raises(SettingsError):
        dataclasses.replace(good, **values)


def test_names_are_matched_as_packages_are(sources: list[Path], tmp_path: Path) -> None:
    report = build(config_of(sources, tmp_path / "out", validation=("alpha_pkg",)))
    assert report.kept["validation"].files == 3
