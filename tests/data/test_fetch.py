import json
from pathlib import Path

import pytest

from starloom.core.errors import FormatError, InputError, MismatchError
from starloom.data.fetch import LOCK_FILE, fetch, read_names


class Index:
    """Stands for PyPI: versions of packages, and what was asked of it."""

    def __init__(self, **latest: str) -> None:
        self.latest, self.asked = latest, []
        self.content = "wheel of"

    def __call__(self, requirement: str, folder: Path) -> None:
        self.asked.append(requirement)
        name, _, version = requirement.partition("==")
        if name not in self.latest:
            raise InputError(f"pip cannot fetch '{requirement}': no matching distribution")
        version = version or self.latest[name]
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
    assert index.asked == ["alpha==2.0", "absent"]


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


@pytest.mark.parametrize("line", ["a b", "--index-url=x", "a>=1", "a @ file:///x", "../a", "a==1; x"])
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
