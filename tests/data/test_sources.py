import contextlib
import gzip
import io
import os
import struct
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starloom.core.errors import InputError
from starloom.data.sources.rawfile import LINK, NOT_REGULAR, REPEATED_PATH, UNUSABLE_PATH, Limits
from starloom.data.sources.source import open_source, read

FILES = {"a.py": b"print(1)\n", "pkg/b.py": b"x = 2\r\n", "pkg/sub/c.txt": b"\xff\x00"}

_part = st.text("abcXYZ019_-ü", min_size=1, max_size=6)
_tree = st.dictionaries(st.tuples(_part, _part), st.binary(max_size=200), min_size=1, max_size=6)


def contents(source: Path) -> dict[str, bytes]:
    return {file.path: file.read() for file in read(source) if not file.refused}


def refusals(source: Path) -> dict[str, str]:
    return {file.path: file.refused for file in read(source) if file.refused}


def write_tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def write_folder(path: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(folder)}
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, env=environment)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = write_folder(tmp_path / "project", FILES)
    git(folder, "init")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "first")
    return folder


@pytest.mark.parametrize(
    ("ending", "mode"), [("tar", "w"), ("tar.gz", "w:gz"), ("tgz", "w:gz"), ("tar.bz2", "w:bz2"), ("tar.xz", "w:xz")]
)
def test_tar_archives_give_their_files(tmp_path: Path, ending: str, mode: str) -> None:
    assert contents(write_tar(tmp_path / f"x-1.0.{ending}", FILES, mode)) == FILES


@pytest.mark.parametrize("ending", ["zip", "whl"])
def test_zip_archives_give_their_files(tmp_path: Path, ending: str) -> None:
    assert contents(write_zip(tmp_path / f"x-1.0.{ending}", FILES)) == FILES


def test_a_folder_gives_its_files_in_a_fixed_order(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "x", FILES)
    assert contents(folder) == FILES
    assert [file.path for file in read(folder)] == ["a.py", "pkg/b.py", "pkg/sub/c.txt"]


@settings(max_examples=25, deadline=None)
@given(tree=_tree)
def test_every_kind_of_source_holds_the_same_files(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[tuple[str, str], bytes]
) -> None:
    base = tmp_path_factory.mktemp("tree")
    files = {f"d{folder}/f{name}": data for (folder, name), data in tree.items()}
    assert contents(write_folder(base / "folder", files)) == files
    assert contents(write_tar(base / "x.tar.gz", files, "w:gz")) == files
    assert contents(write_zip(base / "x.zip", files)) == files


def test_links_and_loops_are_listed_and_not_followed(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "x", {"a.py": b"1"})
    (folder / "loop").symlink_to(folder)
    (folder / "secret.py").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe.py")
    assert contents(folder) == {"a.py": b"1"}
    assert refusals(folder) == {"loop": LINK, "secret.py": LINK, "pipe.py": NOT_REGULAR}


def test_a_file_name_that_is_not_text_is_unusable(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path / "x") + b"/\xff.py")).write_bytes(b"1")
    (tmp_path / "x" / "a\nb.py").write_bytes(b"1")
    assert refusals(tmp_path / "x") == {"\ufffd.py": UNUSABLE_PATH, "a\nb.py": UNUSABLE_PATH}


@pytest.mark.parametrize("name", ["../evil.py", "/etc/evil.py", "a/../../evil.py", "..\\evil.py", "C:/evil.py"])
def test_names_that_lead_outside_refuse_the_archive(tmp_path: Path, name: str) -> None:
    for archive in (
        write_tar(tmp_path / "x.tar", {"a.py": b"1", name: b"2"}),
        write_zip(tmp_path / "x.zip", {"a.py": b"1", name: b"2"}),
    ):
        with pytest.raises(InputError, match="outside the archive"):
            contents(archive)


def test_links_and_devices_in_archives_are_listed(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for name, kind in (("s", tarfile.SYMTYPE), ("h", tarfile.LNKTYPE), ("d", tarfile.CHRTYPE), ("p", tarfile.FIFOTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    assert refusals(tmp_path / "x.tar") == {"s": LINK, "h": LINK, "d": NOT_REGULAR, "p": NOT_REGULAR}
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        link = zipfile.ZipInfo("s")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert refusals(tmp_path / "x.zip") == {"s": LINK}


def test_of_a_repeated_name_the_last_counts(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for data in (b"old", b"newer"):
            member = tarfile.TarInfo("a.py")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    assert contents(tmp_path / "x.tar") == {"a.py": b"newer"}
    assert refusals(tmp_path / "x.tar") == {"a.py": REPEATED_PATH}


def test_bombs_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    zeros = bytes(4 * 2**20)
    limits = Limits(ratio_from_bytes=2**20)
    for archive in (write_zip(tmp_path / "x.zip", {"a": zeros}), write_tar(tmp_path / "x.tar.gz", {"a": zeros}, "w:gz")):
        with pytest.raises(InputError, match="decompression bomb"):
            list(read(archive, limits))
        with pytest.raises(InputError, match="unpacks to more than"):
            list(read(archive, Limits(unpacked_bytes=2**20)))
    many = write_tar(tmp_path / "y.tar", {str(number): b"" for number in range(20)})
    with pytest.raises(InputError, match="more than 10 files"):
        list(read(many, Limits(files=10)))


def test_a_compressed_tail_after_the_archive_is_refused(tmp_path: Path) -> None:
    plain = write_tar(tmp_path / "x.tar", FILES).read_bytes()
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(plain + bytes(8 * 2**20)))
    with pytest.raises(InputError, match="follow the end"):
        contents(tmp_path / "x.tar.gz")


def test_encrypted_zips_are_refused(tmp_path: Path) -> None:
    data = bytearray(write_zip(tmp_path / "x.zip", {"a.py": b"1"}).read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(InputError, match="encrypted"):
        contents(tmp_path / "x.zip")


def test_a_zip_whose_sizes_lie_is_damaged(tmp_path: Path) -> None:
    data = bytearray(write_zip(tmp_path / "x.zip", {"a.py": bytes(5000)}).read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 24, 10)
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(InputError, match="damaged"):
        contents(tmp_path / "x.zip")


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tar.bz2", "tar.xz", "zip", "whl"])
def test_truncated_archives_are_damaged(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x.{ending}"
    files = {"a.py": os.urandom(5000), "b.py": os.urandom(5000)}
    if ending in ("zip", "whl"):
        write_zip(path, files)
    else:
        write_tar(path, files, "w" + ending[3:].replace(".", ":"))
    path.write_bytes(path.read_bytes()[:7000])
    with pytest.raises(InputError, match=f"x.{ending}' is damaged"):
        contents(path)


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tar.bz2", "tar.xz", "zip", "whl"])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_damage_anywhere_is_an_input_error_or_harmless(
    ending: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("damage") / f"x.{ending}"
    if ending in ("zip", "whl"):
        write_zip(path, FILES)
    else:
        write_tar(path, FILES, "w" + ending[3:].replace(".", ":"))
    whole = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=4)):
        whole[place] = data.draw(st.integers(0, 255))
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    with contextlib.suppress(InputError):
        contents(path)


def test_what_is_no_source_says_what_would_be(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no source"):
        open_source(tmp_path / "absent")
    for name, hint in (("x.7z", "repack it"), ("x.py", "give a folder, a git repository, an archive")):
        (tmp_path / name).write_bytes(b"1")
        with pytest.raises(InputError, match=hint):
            open_source(tmp_path / name)
    os.mkfifo(tmp_path / "x.zip")
    with pytest.raises(InputError, match="neither a folder nor a regular file"):
        open_source(tmp_path / "x.zip")


@pytest.mark.parametrize(
    ("file", "name", "version"),
    [
        ("foo_bar-1.2.3-py3-none-any.whl", "foo_bar", "1.2.3"),
        ("zope.interface-8.7.tar.gz", "zope.interface", "8.7"),
        ("python-dateutil-2.9.0.post0.tar.gz", "python-dateutil", "2.9.0.post0"),
        ("main.zip", "main", None),
    ],
)
def test_an_archive_is_called_by_its_name_without_the_version(tmp_path: Path, file: str, name: str, version: str | None) -> None:
    (tmp_path / file).write_bytes(b"")
    source = open_source(tmp_path / file)
    assert (source.name, source.version) == (name, version)


def test_git_gives_the_commit_and_not_the_working_tree(repository: Path) -> None:
    (repository / "a.py").write_bytes(b"changed")
    (repository / "untracked.py").write_bytes(b"new")
    assert contents(repository) == FILES
    assert len(open_source(repository).version or "") == 40


def test_a_bare_repository_and_the_name_of_its_remote(repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--bare", str(repository), "copy.git")
    bare = tmp_path / "copy.git"
    assert contents(bare) == FILES
    assert open_source(bare).name == "copy"
    git(bare, "remote", "set-url", "origin", "git@example.org:team/tool.git")
    assert open_source(bare).name == "team/tool"
    git(bare, "remote", "set-url", "origin", "https://example.org/team/tool2.git/")
    assert open_source(bare).name == "team/tool2"


def test_git_links_and_submodules_are_listed(repository: Path) -> None:
    (repository / "link.py").symlink_to("/etc/passwd")
    git(repository, "add", "link.py")
    git(repository, "update-index", "--add", "--cacheinfo", "160000," + "1" * 40 + ",module")
    git(repository, "commit", "-m", "second")
    assert refusals(repository) == {"link.py": LINK, "module": NOT_REGULAR}
    assert contents(repository) == FILES


def test_git_starts_nothing_that_the_repository_names(repository: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    script = tmp_path / "trap.sh"
    script.write_text(f"#!/bin/sh\ntouch {trap}\n")
    script.chmod(0o755)
    for setting in ("core.fsmonitor", "core.sshCommand", "core.pager", "diff.external", "filter.x.smudge", "core.editor"):
        git(repository, "config", setting, str(script))
    git(repository, "config", "filter.x.process", str(script))
    (repository / ".git/info/attributes").write_text("* filter=x\n")
    for hook in ("post-checkout", "pre-commit", "reference-transaction"):
        (repository / ".git/hooks" / hook).write_text(script.read_text())
        (repository / ".git/hooks" / hook).chmod(0o755)
    assert contents(repository) == FILES
    assert not trap.exists()


def test_git_ignores_the_environment_of_the_caller(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.bare")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "nonsense")
    assert contents(repository) == FILES


def test_a_repository_without_commit_or_with_a_lost_object_is_an_error(repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "empty")
    with pytest.raises(InputError, match="without a readable commit"):
        open_source(tmp_path / "empty")
    blob = subprocess.run(
        ["git", "rev-parse", "HEAD:a.py"], cwd=repository, capture_output=True, text=True, check=True
    ).stdout.strip()
    (repository / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(InputError, match=r"git|damaged"):
        contents(repository)
