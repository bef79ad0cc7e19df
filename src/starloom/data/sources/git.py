"""Files of a git repository as one commit holds them; the working tree, the index and the hooks play no part.

Only `git` commands that read the object store are run, with the user's and the machine's configuration shut out and every
transport forbidden, so that a hostile repository has nothing to start. Links and submodules are listed and never followed.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from starloom.core.errors import InputError
from starloom.data.sources.rawfile import (
    LINK,
    NOT_REGULAR,
    UNUSABLE_PATH,
    Limits,
    RawFile,
    check_bomb,
    is_unusable,
    readable,
    refused,
)

_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "LC_ALL": "C",
    "TZ": "UTC",
}
_OPTIONS = ("-c", "safe.directory=*", "-c", f"core.hooksPath={os.devnull}", "-c", "core.fsmonitor=false")


def git_folder(folder: Path) -> Path | None:
    """The object store of a repository at `folder` (its `.git`, or `folder` itself when bare), or None."""
    if (folder / ".git").exists():
        return folder / ".git"
    bare = (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "refs").is_dir()
    return folder if bare else None


def read_git(folder: Path, limits: Limits, revision: str = "HEAD") -> Iterator[RawFile]:
    """Every file of the commit at `revision`, in the order of the tree. Raises `InputError` for a damaged or empty repository.

    A file whose object is lost is listed, and reading it raises `InputError`.
    """
    with Objects(folder) as objects:
        for mode, kind, name, size, path in _tree(folder, limits, revision):
            yield _file(objects, mode, kind, name, size, path)


def commit_of(folder: Path, revision: str = "HEAD") -> str:
    """The id of the commit at `revision`. Raises `InputError` when there is none."""
    try:
        return run_git(folder, "rev-parse", "--verify", "--end-of-options", revision + "^{commit}").decode().strip()
    except InputError as error:
        raise InputError(f"'{folder}' is a git repository without a readable commit at {revision}: {error}") from error


def date_of(folder: Path, commit: str) -> str:
    """When `commit` was committed, ISO 8601 in UTC."""
    seconds = int(run_git(folder, "show", "--no-patch", "--format=%ct", "--end-of-options", commit))
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def remote_name(folder: Path) -> str | None:
    """`owner/name` from the address of the remote `origin`, or None."""
    try:
        address = run_git(folder, "config", "--get", "remote.origin.url").decode("utf-8", "replace").strip()
    except InputError:
        return None
    parts = [part for part in address.replace(":", "/").rstrip("/").removesuffix(".git").split("/") if part]
    return "/".join(parts[-2:]) if len(parts) >= 2 and ("://" in address or "@" in address) else None


def _command(folder: Path, *arguments: str) -> list[str]:
    store = git_folder(folder)
    assert store is not None, "asked for only when there is a repository"
    return ["git", *_OPTIONS, f"--git-dir={store.absolute()}", *arguments]


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | _ENVIRONMENT


def run_git(folder: Path, *arguments: str) -> bytes:
    """What a git command prints. Raises `InputError` with git's own last line when it fails."""
    if any("\0" in argument for argument in arguments):
        raise InputError(f"git cannot read '{folder}': a name holds NUL")
    done = _run(_command(folder, *arguments), _environment())
    if done.returncode:
        raise InputError(f"git cannot read '{folder}': {_last_line(done.stderr)}")
    return done.stdout


def _run(command: list[str], environment: dict[str, str], folder: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise InputError("reading a git repository needs the program 'git', which was not found") from error


def _last_line(message: bytes) -> str:
    return (message.decode("utf-8", "replace").strip().splitlines() or ["no message"])[-1]


@dataclass(frozen=True, slots=True)
class Modified:
    """A regular file that two trees hold with different contents: its path and its object before and after."""

    path: str
    before: str
    after: str


def modified_files(folder: Path, old: str, new: str) -> list[Modified]:
    """The files that the commit `new` modifies against `old`; not those it adds, removes or turns into something else."""
    fields = run_git(folder, "diff-tree", "-r", "-z", "--raw", "--no-renames", "--end-of-options", old, new).split(b"\0")
    found = []
    for description, path in zip(fields[::2], fields[1::2], strict=False):
        old_mode, new_mode, before, after, status = description.decode().lstrip(":").split()
        if status == "M" and old_mode.startswith("100") and new_mode.startswith("100"):
            found.append(Modified(os.fsdecode(path), before, after))
    return found


def diff_files(before: str, after: str, scratch: Path) -> str:
    """The unified differences between two texts, without context, by git's own comparison in the folder `scratch`."""
    for name, text in (("before", before), ("after", after)):
        (scratch / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    options = ("--no-index", "--no-ext-diff", "--no-textconv", "--no-color", "--text", "-U0")
    command = ["git", *_OPTIONS, "diff", *options, "before", "after"]
    environment = _environment() | {"GIT_CEILING_DIRECTORIES": str(scratch.parent)}
    done = _run(command, environment, scratch)
    if done.returncode > 1:
        raise InputError(f"git cannot compare two texts: {_last_line(done.stderr)}")
    return done.stdout.decode("utf-8", "replace")


def _tree(folder: Path, limits: Limits, revision: str) -> list[tuple[str, str, str, int, str]]:
    """Mode, kind, object id, size and path of every entry; an object that is lost has size 0."""
    entries = []
    for line in run_git(folder, "ls-tree", "-r", "-l", "-z", commit_of(folder, revision)).split(b"\0")[:-1]:
        description, _, path = line.partition(b"\t")
        mode, kind, name, size = description.decode().split()
        entries.append((mode, kind, name, int(size) if size.isdigit() else 0, os.fsdecode(path)))
    check_bomb(folder, 2**62, sum(entry[3] for entry in entries), len(entries), limits)
    return entries


def _file(objects: Objects, mode: str, kind: str, name: str, size: int, path: str) -> RawFile:
    if mode == "120000":
        return refused(path, 0, LINK)
    if kind != "blob":
        return refused(path, 0, NOT_REGULAR)
    if is_unusable(path):
        return refused(path, size, UNUSABLE_PATH)
    return RawFile(path, size, lambda: objects.read(name))


class Objects:
    """A running `git cat-file --batch`: object ids go in, objects come out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            _command(folder, "cat-file", "--batch"),
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def read(self, name: str, max_bytes: int | None = None) -> bytes:
        """The blob `name`. Raises `InputError` when it is lost, damaged or larger than `max_bytes`."""
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None
        assert answers is not None
        failure = InputError(f"git cannot read '{readable(name)}' in '{self._folder}': the repository is damaged or incomplete")
        if "\n" in name:
            raise failure
        try:
            requests.write(os.fsencode(name) + b"\n")
            requests.flush()
        except OSError as error:
            raise failure from error
        header = answers.readline().split()
        if len(header) < 3 or header[-2] not in (b"blob", b"tree", b"commit", b"tag"):
            raise failure
        if max_bytes is not None and int(header[-1]) > max_bytes:
            _skip(answers, int(header[-1]) + 1)
            raise InputError(f"the object {readable(name)} in '{self._folder}' has {int(header[-1]):,} bytes")
        data = answers.read(int(header[-1]))
        if len(data) != int(header[-1]) or answers.read(1) != b"\n" or header[-2] != b"blob":
            raise failure
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        process = self._process
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            with suppress(OSError):
                stream.close()


def _skip(stream: IO[bytes], size: int) -> None:
    while size > 0 and (part := stream.read(min(size, 2**20))):
        size -= len(part)
