import contextlib
import gzip
import os
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from source_samples import (
    FILES,
    ar_bytes,
    contents,
    git,
    refusals,
    tar_bytes,
    write_dsc,
    write_folder,
    write_tar,
)

from starloom.core.errors import InputError, SettingsError
from starloom.data.sources.debian import PATCH
from starloom.data.sources.files import Files
from starloom.data.sources.rawfile import LINK, REPEATED_PATH, UNUSABLE_PATH, Limits
from starloom.data.sources.reading import records, source_from
from starloom.data.sources.record import DAMAGED, TOO_LARGE, ReadSettings

SETTINGS = ReadSettings()
CONTROL = {"./control": b"Package: tool\nVersion: 1.2-3\nDescription: a\n b\n"}


def test_a_folder_an_archive_and_a_zstandard_archive_give_the_same_files(tmp_path: Path) -> None:
    packed = {f"tool-1.0/{name}": data for name, data in FILES.items()}
    (tmp_path / "tool-1.0.tar.zst").write_bytes(pa.compress(tar_bytes(packed), "zstd", asbytes=True))
    sources = [
        write_folder(tmp_path / "tool", FILES),
        write_tar(tmp_path / "tool-1.0.tar.gz", packed),
        tmp_path / "tool-1.0.tar.zst",
    ]
    for path in sources:
        found = list(records(source_from({"kind": "files", "path": str(path)}), SETTINGS))
        assert contents(found) == FILES
        assert {record.repository for record in found} == {"tool"}
        assert {record.size for record in found} == {len(data) for data in FILES.values()}


def test_what_a_recipe_can_name() -> None:
    with pytest.raises(SettingsError, match="must be one of 'files'"):
        source_from({"kind": "ftp", "path": "x"})
    with pytest.raises(SettingsError, match="unknown setting 'paht'"):
        source_from({"paht": "x"})


def test_large_files_are_listed_and_never_read(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "x", {"a.py": b"1"})
    with (folder / "huge.bin").open("wb") as stream:
        stream.truncate(10 * 2**30)
    found = list(Files(folder).records(SETTINGS))
    assert contents(found) == {"a.py": b"1"}
    assert [(record.refused, record.size) for record in found if record.refused] == [(TOO_LARGE, 10 * 2**30)]
    assert refusals(Files(folder).records(ReadSettings(max_file_bytes=10 * 2**30 - 1))) == {"huge.bin": TOO_LARGE}


def test_a_large_file_inside_an_archive_is_never_read(tmp_path: Path) -> None:
    size = 10 * 2**30
    member = tarfile.TarInfo("huge.bin")
    member.size = size
    with (tmp_path / "x.tar").open("wb") as stream:
        stream.write(member.tobuf())
        stream.seek(size, os.SEEK_CUR)
        stream.write(tar_bytes({"a.py": b"1"}))
    found = list(Files(tmp_path / "x.tar").records(SETTINGS))
    assert refusals(found) == {"huge.bin": TOO_LARGE}
    assert contents(found) == {"a.py": b"1"}


def test_a_hundred_thousand_files_in_a_folder_come_once_each_and_in_order(tmp_path: Path) -> None:
    for number in range(100_000):
        os.close(os.open(tmp_path / f"{number}.py", os.O_CREAT | os.O_WRONLY))
    paths = [record.path for record in Files(tmp_path).records(SETTINGS)]
    assert paths == sorted(f"{number}.py" for number in range(100_000))


def test_links_loops_and_names_that_are_not_text_are_dropped_with_a_reason(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "x", {"a.py": b"1"})
    (folder / "loop").symlink_to(folder)
    (folder / "outside").symlink_to("/etc/passwd")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.py")).write_bytes(b"1")
    assert refusals(Files(folder).records(SETTINGS)) == {"loop": LINK, "outside": LINK, "\ufffd.py": UNUSABLE_PATH}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_dropped(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "x", FILES)
    (folder / "a.py").chmod(0)
    assert refusals(Files(folder).records(SETTINGS)) == {"a.py": DAMAGED}


def test_a_damaged_member_costs_only_itself(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.py", b"first content")
        archive.writestr("b.py", b"second content")
    data = (tmp_path / "x.zip").read_bytes()
    (tmp_path / "x.zip").write_bytes(data.replace(b"first content", b"other content"))
    found = list(Files(tmp_path / "x.zip").records(SETTINGS))
    assert refusals(found) == {"a.py": DAMAGED}
    assert contents(found) == {"b.py": b"second content"}


def test_wheels_and_npm_tarballs_are_called_what_their_metadata_says(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "my_tool-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("my_tool/a.py", "1")
        archive.writestr("my_tool-1.0.dist-info/METADATA", "Name: My.Tool\nVersion: 1.0.0\n\nName: other\n")
        archive.writestr("my_tool-1.0.dist-info/licenses/LICENSE", "MIT")
    found = list(Files(tmp_path / "my_tool-1.0-py3-none-any.whl").records(SETTINGS))
    assert {(record.repository, record.revision) for record in found} == {("My.Tool", "1.0.0")}
    assert "my_tool-1.0.dist-info/licenses/LICENSE" in contents(found)
    package = {
        "package/package.json": b'{"name": "@types/tool", "version": "2.0.0"}',
        "package/index.js": b"1",
        "package/LICENSE": b"MIT",
    }
    found = list(Files(write_tar(tmp_path / "types-tool-2.0.0.tgz", package)).records(SETTINGS))
    assert {(record.repository, record.revision) for record in found} == {("@types/tool", "2.0.0")}
    assert set(contents(found)) == {"package.json", "index.js", "LICENSE"}


@pytest.mark.parametrize("manifest", [b"{", b"[" * 100_000, b"[]", b'{"name": 7}', b'{"name": "a\\nb"}', b"\xff"])
def test_a_manifest_that_cannot_be_read_leaves_the_name_of_the_file(tmp_path: Path, manifest: bytes) -> None:
    path = write_tar(tmp_path / "tool-2.0.0.tgz", {"package/package.json": manifest})
    assert {record.repository for record in Files(path).records(SETTINGS)} == {"tool"}


def debian_source(folder: Path) -> Path:
    upstream = {"tool-1.2/a.c": b"int a;", "tool-1.2/COPYING": b"MIT", "tool-1.2/debian/old": b"old"}
    own = {
        "debian/copyright": b"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n",
        "debian/rules": b"#!",
    }
    tarballs = [
        write_tar(folder / "tool_1.2.orig.tar.xz", upstream, "w:xz"),
        write_tar(folder / "tool_1.2.orig-docs.tar.bz2", {"whatever/manual.md": b"# manual"}, "w:bz2"),
        write_tar(folder / "tool_1.2-3.debian.tar.gz", own),
    ]
    return write_dsc(folder, "tool", "1.2-3", tarballs)


def test_a_debian_source_package_is_laid_out_as_dpkg_does(tmp_path: Path) -> None:
    found = list(Files(debian_source(tmp_path)).records(SETTINGS))
    assert {(record.repository, record.revision) for record in found} == {("tool", "1.2-3")}
    assert set(contents(found)) == {"a.c", "COPYING", "docs/manual.md", "debian/copyright", "debian/rules"}
    assert refusals(found) == {"debian/old": REPEATED_PATH}


def test_a_debian_source_package_must_be_complete_and_undamaged(tmp_path: Path) -> None:
    dsc = debian_source(tmp_path)
    tarball = tmp_path / "tool_1.2.orig.tar.xz"
    tarball.write_bytes(tarball.read_bytes() + b"\0")
    with pytest.raises(InputError, match="does not have the SHA-256"):
        list(Files(dsc).records(SETTINGS))
    tarball.unlink()
    with pytest.raises(InputError, match="which is not beside it"):
        list(Files(dsc).records(SETTINGS))


def test_a_patch_is_listed_and_not_applied(tmp_path: Path) -> None:
    (tmp_path / "tool_1.diff.gz").write_bytes(gzip.compress(b"--- a\n+++ b\n"))
    tarball = write_tar(tmp_path / "tool_1.orig.tar.gz", {"tool-1/a.c": b"1"})
    dsc = write_dsc(tmp_path, "tool", "1", [tarball, tmp_path / "tool_1.diff.gz"])
    found = list(Files(dsc).records(SETTINGS))
    assert contents(found) == {"a.c": b"1"}
    assert refusals(found) == {"tool_1.diff.gz": PATCH}


@pytest.mark.parametrize("text", ["", "Source: a\n", "Source: a\nVersion: 1\nChecksums-Sha256:\n", "\0" * 100])
def test_what_is_no_dsc_says_so(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.dsc").write_text(text)
    with pytest.raises(InputError, match="not a Debian source package"):
        list(Files(tmp_path / "x.dsc").records(SETTINGS))


def test_a_dsc_cannot_name_files_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "x.dsc").write_text(f"Source: a\nVersion: 1\nChecksums-Sha256:\n {'0' * 64} 1 ../../etc/passwd\n")
    with pytest.raises(InputError, match="leads outside its folder"):
        list(Files(tmp_path / "x.dsc").records(SETTINGS))


@pytest.mark.parametrize("codec", ["", "gzip", "zstd"])
def test_a_deb_gives_what_it_would_install(tmp_path: Path, codec: str) -> None:
    files = {"./usr/lib/tool/a.py": b"1", "./usr/share/doc/tool/copyright": b"MIT"}
    ending = {"": "", "gzip": ".gz", "zstd": ".zst"}[codec]
    members = {"control.tar": tar_bytes(CONTROL), "data.tar": tar_bytes(files)}
    packed = {name + ending: pa.compress(data, codec, asbytes=True) if codec else data for name, data in members.items()}
    (tmp_path / "tool.deb").write_bytes(ar_bytes({"debian-binary": b"2.0\n"} | packed))
    found = list(Files(tmp_path / "tool.deb").records(SETTINGS))
    assert contents(found) == {name.removeprefix("./"): data for name, data in files.items()}
    assert {(record.repository, record.revision) for record in found} == {("tool", "1.2-3")}


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_or_truncated_deb_is_one_clear_error_or_a_drop(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    files = {"./a.py": bytes(range(256)) * 20}
    members = {"control.tar.gz": gzip.compress(tar_bytes(CONTROL)), "data.tar.gz": gzip.compress(tar_bytes(files))}
    whole = bytearray(ar_bytes({"debian-binary": b"2.0\n"} | members))
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=3)):
        whole[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("deb") / "x.deb"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    with contextlib.suppress(InputError):
        assert len(list(Files(path).records(SETTINGS))) <= 1


def test_a_truncated_deb_is_an_error_that_names_it(tmp_path: Path) -> None:
    members = {"control.tar.gz": gzip.compress(tar_bytes(CONTROL)), "data.tar.gz": gzip.compress(tar_bytes({"./a.py": b"1"}))}
    whole = ar_bytes({"debian-binary": b"2.0\n"} | members)
    for size in range(0, len(whole), 7):
        (tmp_path / "x.deb").write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"x\.deb' is (damaged|truncated)"):
            list(Files(tmp_path / "x.deb").records(SETTINGS))


def test_bombs_inside_packages_are_refused(tmp_path: Path) -> None:
    limits = ReadSettings(limits=Limits(ratio_from_bytes=2**20))
    zeros = tar_bytes({"a": bytes(4 * 2**20)})
    members = {"control.tar": tar_bytes(CONTROL), "data.tar.zst": pa.compress(zeros, "zstd", asbytes=True)}
    (tmp_path / "x.deb").write_bytes(ar_bytes(members))
    with pytest.raises(InputError, match="decompression bomb"):
        list(Files(tmp_path / "x.deb").records(limits))


def test_git_at_a_revision(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "tool", {"a.py": b"old"})
    git(folder, "init")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "first")
    git(folder, "tag", "v1")
    write_folder(folder, {"a.py": b"new"})
    git(folder, "commit", "-am", "second", date="2024-05-06T09:08:09+02:00")
    old, new = (list(Files(folder, revision=revision).records(SETTINGS)) for revision in ("v1", None))
    assert (contents(old), contents(new)) == ({"a.py": b"old"}, {"a.py": b"new"})
    assert (old[0].revision, old[0].date) == (git(folder, "rev-parse", "v1"), "2024-01-02T03:04:05Z")
    assert new[0].date == "2024-05-06T07:08:09Z"
    for bad in ("v2", "--help", "HEAD:a.py", ""):
        with pytest.raises(InputError, match="without a readable commit"):
            list(Files(folder, revision=bad or "\0x").records(SETTINGS))
    with pytest.raises(InputError, match="has no revision"):
        list(Files(write_folder(tmp_path / "plain", FILES), revision="v1").records(SETTINGS))


def test_a_lost_git_object_costs_only_its_file(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "tool", FILES)
    git(folder, "init")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "first")
    lost, bad = git(folder, "rev-parse", "HEAD:a.py"), git(folder, "rev-parse", "HEAD:pkg/b.py")
    (folder / ".git/objects" / lost[:2] / lost[2:]).unlink()
    damaged = folder / ".git/objects" / bad[:2] / bad[2:]
    damaged.chmod(0o644)
    damaged.write_bytes(b"\0" * 20)
    found = list(Files(folder).records(SETTINGS))
    assert refusals(found) == {"a.py": DAMAGED, "pkg/b.py": DAMAGED}
    assert contents(found) == {"pkg/sub/c.txt": FILES["pkg/sub/c.txt"]}
