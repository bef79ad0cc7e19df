import json
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "sources"))
from source_samples import write_dsc, write_tar

from starloom.core.errors import FormatError, InputError, MismatchError
from starloom.core.files import sha256_of
from starloom.data.fetch import LOCK_FILE, fetch, read_lock, read_names
from starloom.data.registries import Downloads


class Index:
    """Stands for the registries: versions of packages, and what was asked of them."""

    def __init__(self, **latest: str) -> None:
        self.latest, self.asked = latest, []
        self.content = "content of"

    def __call__(self, registry: str, name: str, version: str | None, folder: Path) -> None:
        self.asked.append(f"{registry}:{name}=={version}" if version else f"{registry}:{name}")
        if name.lstrip("@").replace("/", "_") not in self.latest:
            raise InputError(f"'{name}' cannot be fetched: no matching distribution")
        version = version or self.latest[name.lstrip("@").replace("/", "_")]
        if registry == "npm":
            package = {"package/package.json": json.dumps({"name": name, "version": version}).encode()}
            write_tar(folder / f"{name.replace('/', '-').lstrip('@')}-{version}.tgz", package)
        elif registry == "debian":
            tarball = write_tar(folder / f"{name}_{version}.orig.tar.gz", {f"{name}/{self.content}": b"x"})
            write_dsc(folder, name, version, [tarball])
        else:
            (folder / f"{name}-{version}-py3-none-any.whl").write_text(f"{self.content} {name} {version}")


@pytest.fixture
def names(tmp_path: Path) -> Path:
    path = tmp_path / "names.txt"
    path.write_text("# packages\nalpha  # the first\n\nbeta==1.5\nabsent\n")
    return path


def test_packages_are_fetched_and_locked(names: Path, tmp_path: Path) -> None:
    index = Index(alpha="2.0", beta="9.0")
    fetched = fetch(names, tmp_path / "out", index)
    assert [package.file for package in fetched.packages] == ["alpha-2.0-py3-none-any.whl", "beta-1.5-py3-none-any.whl"]
    assert list(fetched.failed) == ["absent"]
    lock = json.loads((tmp_path / "out" / LOCK_FILE).read_text())
    assert [package["version"] for package in lock["packages"]] == ["2.0", "1.5"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "alpha-2.0-py3-none-any.whl",
        "beta-1.5-py3-none-any.whl",
        LOCK_FILE,
    ]


def test_the_lock_decides_the_second_time(names: Path, tmp_path: Path) -> None:
    fetch(names, tmp_path / "out", Index(alpha="2.0", beta="9.0"))
    (tmp_path / "out" / "alpha-2.0-py3-none-any.whl").unlink()
    index = Index(alpha="3.0", beta="9.0")
    fetch(names, tmp_path / "out", index)
    assert index.asked == ["pypi:alpha==2.0", "pypi:absent"]


def test_a_file_that_changed_is_refused(names: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    fetch(names, out, Index(alpha="2.0", beta="9.0"))
    (out / "alpha-2.0-py3-none-any.whl").write_text("other")
    with pytest.raises(MismatchError, match="SHA-256"):
        fetch(names, out, Index(alpha="2.0", beta="9.0"))
    (out / "alpha-2.0-py3-none-any.whl").unlink()
    changed = Index(alpha="2.0", beta="9.0")
    changed.content = "changed"
    with pytest.raises(MismatchError, match="SHA-256"):
        fetch(names, out, changed)
    assert not (out / "alpha-2.0-py3-none-any.whl").exists()


def test_another_version_than_the_lock_is_refused(names: Path, tmp_path: Path) -> None:
    fetch(names, tmp_path / "out", Index(alpha="2.0", beta="9.0"))
    names.write_text("beta==1.6\n")
    with pytest.raises(MismatchError, match=r"holds version 1\.5"):
        fetch(names, tmp_path / "out", Index(beta="9.0"))


@pytest.mark.parametrize(
    "line",
    [
        "a b",
        "--index-url=x",
        "a>=1",
        "a @ file:///x",
        "../a",
        "a==1; x",
        "gem:rake",
        "npm:../x",
        "npm:--version",
        "npm:git+https://example.org/x",
        "npm:@a/b/c",
        "debian:Hello",
        "debian:-o",
        "debian:hello/stable",
        "debian:hello==-1",
        "npm:a==1.0 || 2",
    ],
)
def test_only_names_and_versions_are_read(tmp_path: Path, line: str) -> None:
    (tmp_path / "names").write_text(f"good\n{line}\n")
    with pytest.raises(InputError, match=r"names:2: .*is not of the form"):
        read_names(tmp_path / "names")


def test_lists_and_locks_that_cannot_be_read(tmp_path: Path, names: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_names(tmp_path / "absent")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / LOCK_FILE).write_text("{}")
    with pytest.raises(FormatError, match="not a lock file"):
        fetch(names, tmp_path / "out", Index())


def test_packages_of_every_registry_share_one_lock(tmp_path: Path) -> None:
    names, out = tmp_path / "names.txt", tmp_path / "out"
    names.write_text("alpha\nnpm:alpha\nnpm:@types/node\ndebian:tool==1:2.0-1\nnpm:absent\n")
    index = Index(alpha="2.0", types_node="20.1", tool="1")
    fetched = fetch(names, out, index)
    assert [package.key for package in fetched.packages] == ["alpha", "npm:alpha", "npm:@types/node", "debian:tool"]
    assert [package.version for package in fetched.packages] == ["2.0", "2.0", "20.1", "1:2.0-1"]
    assert list(fetched.failed) == ["npm:absent"]
    for package in fetched.packages:
        assert all(sha256_of(out / file) == digest for file, digest in package.hashes.items())
    assert list(fetched.packages[3].parts) == ["tool_1:2.0-1.orig.tar.gz"]
    assert read_lock(out / LOCK_FILE) == {package.key: package for package in fetched.packages}


def test_a_part_that_is_lost_or_changed(tmp_path: Path) -> None:
    names, out = tmp_path / "names.txt", tmp_path / "out"
    names.write_text("debian:tool\n")
    index = Index(tool="1")
    (package,) = fetch(names, out, index).packages
    (part,) = package.parts
    (out / part).write_bytes(b"changed")
    with pytest.raises(MismatchError, match="SHA-256"):
        fetch(names, out, index)
    (out / part).unlink()
    index.content = "other"
    with pytest.raises(MismatchError, match="SHA-256"):
        fetch(names, out, index)
    assert index.asked == ["debian:tool", "debian:tool==1"]


def test_two_packages_cannot_have_one_file(tmp_path: Path) -> None:
    names, out = tmp_path / "names.txt", tmp_path / "out"
    names.write_text("npm:@a/b\nnpm:a-b\n")
    index = Index(**{"a_b": "1.0", "a-b": "1.0"})
    fetched = fetch(names, out, index)
    assert [package.key for package in fetched.packages] == ["npm:@a/b"]
    assert "same name as" in fetched.failed["npm:a-b"]


def test_locks_of_the_first_version_are_read(tmp_path: Path, names: Path) -> None:
    fetch(names, tmp_path / "out", Index(alpha="2.0", beta="9.0"))
    path = tmp_path / "out" / LOCK_FILE
    entries = json.loads(path.read_text())["packages"]
    first = [{key: entry[key] for key in ("name", "version", "file", "sha256")} for entry in entries]
    path.write_text(json.dumps({"version": 1, "packages": first}))
    assert set(read_lock(path)) == {"alpha", "beta"}


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, program: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / program).write_text(f"#!/bin/sh\n{script}\n")
    (folder / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_clients_are_asked_as_they_want_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    targets = "Debian|http://deb.example.org/debian|stable|main|/usr/share/keyrings/x.gpg\nOther|http://x|y|z|"
    script = f'echo "$0 $*" >> {log}; case "$1" in indextargets) printf "{targets}\\n";; esac'
    for program in ("npm", "apt-get"):
        stand_in(tmp_path / "bin", monkeypatch, program, script)
    with Downloads() as downloads:
        monkeypatch.chdir(tmp_path)
        downloads("npm", "@types/node", "1.0", Path())
        downloads("debian-binary", "tool", "1:2", tmp_path)
        for _ in range(2):
            downloads("debian", "tool", None, tmp_path)
        (apt,) = Path(tempfile.gettempdir()).glob("starloom-apt-*/parts/own.sources")
        assert "URIs: http://deb.example.org/debian\nSuites: stable\nComponents: main\nSigned-By: /usr" in apt.read_text()
        assert "http://x" not in apt.read_text()
    assert not apt.exists()
    asked = [line.split(" ") for line in log.read_text().splitlines()]
    assert [line[-1] for line in asked if "source" in line] == ["tool", "tool"]
    assert sum("update" in line for line in asked) == 1
    assert any(line[1:3] == ["pack", "@types/node@1.0"] and "--ignore-scripts" in line for line in asked)
    assert any(line[1] == "pack" and line[-1] == str(tmp_path) for line in asked)
    assert any(line[1] == "download" and line[-1] == "tool=1:2" for line in asked)


def test_a_client_that_fails_or_is_absent_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(
        tmp_path / "bin",
        monkeypatch,
        "npm",
        "echo 'npm error code E404' >&2; echo 'npm error 404 Not Found' >&2; echo more >&2; exit 1",
    )
    with (
        Downloads() as downloads,
        pytest.raises(InputError, match=r"npm: absent cannot be fetched: npm error code E404; npm error 404 Not Found"),
    ):
        downloads("npm", "absent", None, tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with Downloads() as downloads, pytest.raises(InputError, match="the program 'npm' was not found"):
        downloads("npm", "absent", None, tmp_path)
