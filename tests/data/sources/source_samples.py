"""Small sources, made on the spot: archives, Debian packages, git repositories."""

import hashlib
import io
import os
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

from starloom.data.sources.record import Record

FILES = {"a.py": b"print(1)\n", "pkg/b.py": b"x = 2\r\n", "pkg/sub/c.txt": b"\xff\x00"}


def write_folder(path: Path, files: dict[str, bytes]) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def write_tar(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def tar_bytes(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def ar_bytes(members: dict[str, bytes]) -> bytes:
    data = b"!<arch>\n"
    for name, content in members.items():
        data += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode() + content + b"\n" * (len(content) % 2)
    return data


def write_dsc(folder: Path, name: str, version: str, tarballs: Iterable[Path]) -> Path:
    sums = "".join(f"\n {hashlib.sha256(file.read_bytes()).hexdigest()} {file.stat().st_size} {file.name}" for file in tarballs)
    text = f"Format: 3.0 (quilt)\nSource: {name}\nVersion: {version}\nChecksums-Sha256:{sums}\n"
    path = folder / f"{name}_{version}.dsc"
    path.write_text(f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{text}\n-----BEGIN PGP SIGNATURE-----\n")
    return path


def git(folder: Path, *arguments: str, date: str = "2024-01-02T03:04:05Z", **options: object) -> str:
    identity = ["-c", "user.name=Ann Author", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
    environment = {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_NOSYSTEM": "1",
        "HOME": str(folder),
        "GIT_AUTHOR_DATE": date,
        "GIT_COMMITTER_DATE": date,
    }
    command = ["git", *identity, *arguments]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, env=environment)
    return done.stdout.strip()


def contents(records: Iterable[Record]) -> dict[str, bytes]:
    return {record.path: record.content for record in records if record.content is not None}


def refusals(records: Iterable[Record]) -> dict[str, str]:
    return {record.path: record.refused for record in records if record.refused is not None}
