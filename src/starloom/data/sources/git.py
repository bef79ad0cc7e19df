"""Files of a git repository as its HEAD commit holds them; the working tree, the index and the hooks play no part.

Only `git` commands that read the object store are run, with the user's and the machine's configuration shut out and every
transport forbidden, so that a hostile repository has nothing to start. Links and submodules are listed and never followed.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from starloom.core.errors import InputError
from starloom.data.sources.rawfile import LINK, NOT_REGULAR, UNUSABLE_PATH, Limits, RawFile, check_bomb, is_unusable, refused

_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "LC_ALL": "C",
}
_OPTIONS = ("-c", "safe.directory=*", "-c", f"core.hooksPath={os.devnull}", "-c", "core.fsmonitor=false")


def git_folder(folder: Path) -> Path | None:
    """The object store of a repository at `folder` (its `.git`, or `folder` itself when bare), or None."""
    if (folder / ".git").exists():
        return folder / ".git"
    bare = (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "refs").is_dir()
    return folder if bare else None


def read_git(folder: Path, limits: Limits) -> Iterator[RawFile]:
    """Every file of the commit at HEAD, in the order of the tree. Raises `InputError` for a damaged or empty repository."""
    with _objects(folder) as (requests, answers):
        for mode, kind, name, size, path in _tree(folder, limits):
            yield _file(requests, answers, folder, mode, kind, name, size, path)


def commit_of(folder: Path) -> str:
    """The id of the commit at HEAD. Raises `InputError` when there is none."""
    try:
        return _git(folder, "rev-parse", "--verify", "HEAD^{commit}").decode().strip()
    except InputError as error:
        raise InputError(f"'{folder}' is a git repository without a readable commit at HEAD: {error}") from error


def remote_name(folder: Path) -> str | None:
    """`owner/name` from the address of the remote `origin`, or None."""
    try:
        address = _git(folder, "config", "--get", "remote.origin.url").decode("utf-8", "replace").strip()
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


def _git(folder: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(
            _command(folder, *arguments), env=_environment(), stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except FileNotFoundError as error:
        raise InputError("reading a git repository needs the program 'git', which was not found") from error
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no message"]
        raise InputError(f"git cannot read '{folder}': {lines[-1]}")
    return done.stdout


def _tree(folder: Path, limits: Limits) -> list[tuple[str, str, str, int, str]]:
    """Mode, kind, object id, size and path of every entry."""
    entries = []
    for line in _git(folder, "ls-tree", "-r", "-l", "-z", commit_of(folder)).split(b"\0")[:-1]:
        description, _, path = line.partition(b"\t")
        mode, kind, name, size = description.decode().split()
        if size == "BAD":
            raise InputError(f"git cannot read '{os.fsdecode(path)}' in '{folder}': the repository is damaged or incomplete")
        entries.append((mode, kind, name, 0 if size == "-" else int(size), os.fsdecode(path)))
    check_bomb(folder, 2**62, sum(entry[3] for entry in entries), len(entries), limits)
    return entries


def _file(
    requests: IO[bytes], answers: IO[bytes], folder: Path, mode: str, kind: str, name: str, size: int, path: str
) -> RawFile:
    if mode == "120000":
        return refused(path, 0, LINK)
    if kind != "blob":
        return refused(path, 0, NOT_REGULAR)
    if is_unusable(path):
        return refused(path, size, UNUSABLE_PATH)

    def read() -> bytes:
        requests.write(name.encode() + b"\n")
        requests.flush()
        return _answer(answers, folder, path)

    return RawFile(path, size, read)


def _answer(answers: IO[bytes], folder: Path, path: str) -> bytes:
    header = answers.readline().split()
    if len(header) != 3 or header[1] != b"blob":
        raise InputError(f"git cannot read '{path}' in '{folder}': the repository is damaged or incomplete")
    data = answers.read(int(header[2]))
    if len(data) != int(header[2]) or answers.read(1) != b"\n":
        raise InputError(f"git stopped while reading '{path}' in '{folder}': the repository is damaged")
    return data


@contextmanager
def _objects(folder: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """A running `git cat-file --batch`: object ids go in, objects come out."""
    process = subprocess.Popen(
        _command(folder, "cat-file", "--batch"),
        env=_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdin, process.stdout
    finally:
        process.kill()
        process.stdin.close()
        process.stdout.close()
        process.wait()
