from pathlib import Path

import pytest
from source_samples import git, write_folder

from starloom.core.errors import InputError
from starloom.data.sources.commits import BOT, MANY_FILES, MERGE, NO_CHANGE, NOT_SAMPLED, ROOT, Commits
from starloom.data.sources.github.pull_request_template import TITLE
from starloom.data.sources.record import ReadSettings
from starloom.data.sources.rendering import split

SETTINGS = ReadSettings()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = write_folder(tmp_path / "tool", {"a.py": b"def f(x):\n    return x\n", "b.bin": b"\0"})
    git(folder, "init")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "Begin the whole thing")
    return folder


def commit(folder: Path, message: str, **files: bytes) -> str:
    write_folder(folder, {name.replace("_", "."): data for name, data in files.items()})
    git(folder, "add", "-A")
    git(folder, "commit", "-m", message)
    return git(folder, "rev-parse", "HEAD")


def test_a_commit_is_written_as_a_merged_pull_request(repository: Path) -> None:
    message = "Return twice x\n\nAnn Author wants it so.\n\nSigned-off-by: Ann Author <a@example.org>\nChange-Id: I1"
    name = commit(repository, message, a_py=b"def f(x):\n    return 2 * x\n")
    record, root = Commits(repository).records(SETTINGS)
    assert record.content is not None
    assert split(record.content.decode()) == [
        "",
        "<pr>",
        "Title: Return twice x\nusername_0: username_0 wants it so.",
        "<pr_status>",
        "opened",
        "<repo_name>",
        "tool",
        "<pr_base>",
        "",
        "<pr_file>",
        "a.py",
        "<pr_base_code>",
        "def f(x):\n    return x",
        "<pr_diff>",
        "",
        "<pr_file>",
        "a.py",
        "<pr_diff_hunk>",
        "@@ -1,2 +1,2 @@\n def f(x):\n-    return x\n+    return 2 * x",
        "<pr>",
        "username_0",
        "<pr_status>",
        "closed",
        "<pr_is_merged>",
        "True",
        "<|endoftext|>",
        "",
    ]
    assert (record.path, record.revision, record.date) == (f"commit/{name}", name, "2024-01-02T03:04:05Z")
    assert root.refused == ROOT


def test_every_commit_is_a_record_with_content_or_a_reason(repository: Path) -> None:
    reasons = {
        commit(repository, "Short", a_py=b"x = 1\n"): TITLE,
        commit(repository, "Bump dependencies of it", a_py=b"x = 2\n"): TITLE,
        commit(repository, "Change nothing but binary", b_bin=b"\0\1"): NO_CHANGE,
        commit(repository, "Add another file only", c_py=b"y = 1\n"): NO_CHANGE,
    }
    many = {f"f{number}_py": b"z = 1\n" for number in range(3)}
    reasons[commit(repository, "Add many other files", **many)] = NO_CHANGE
    reasons[commit(repository, "Change many other files", **dict.fromkeys(many, b"z = 2\n"))] = MANY_FILES
    git(repository, "-c", "user.name=build-bot", "commit", "--allow-empty", "-m", "Change by a machine")
    reasons[git(repository, "rev-parse", "HEAD")] = BOT
    git(repository, "checkout", "-b", "side", "HEAD~1")
    commit(repository, "Change x on the side", a_py=b"x = 3\n")
    git(repository, "checkout", "main")
    git(repository, "merge", "--no-ff", "-m", "Merge the side branch", "side")
    reasons[git(repository, "rev-parse", "HEAD")] = MERGE
    records = list(Commits(repository, max_files=2).records(SETTINGS))
    assert {record.revision: record.refused for record in records if record.refused != ROOT and record.refused} == reasons
    assert len(records) == len(reasons) + 2
    assert len({record.path for record in records}) == len(records)


def test_the_cap_draws_the_same_commits_every_time(repository: Path) -> None:
    for number in range(6):
        commit(repository, f"Set x to the number {number}", a_py=f"x = {number}\n".encode())
    runs = [list(Commits(repository, max_commits=2).records(SETTINGS)) for _ in range(2)]
    assert runs[0] == runs[1]
    assert sum(record.content is not None for record in runs[0]) == 2
    assert sum(record.refused == NOT_SAMPLED for record in runs[0]) == 4


def test_a_broken_history_or_no_history_is_one_error(repository: Path, tmp_path: Path) -> None:
    commit(repository, "Set x to some number", a_py=b"x = 1\n")
    first = git(repository, "rev-parse", "HEAD~1")
    (repository / ".git/objects" / first[:2] / first[2:]).unlink()
    with pytest.raises(InputError, match="git cannot read"):
        list(Commits(repository).records(SETTINGS))
    with pytest.raises(InputError, match="not a git repository"):
        list(Commits(write_folder(tmp_path / "plain", {"a": b""})).records(SETTINGS))
