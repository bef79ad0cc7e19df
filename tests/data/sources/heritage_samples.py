"""Software Heritage's tables and contents, made from real git repositories with true identifiers."""

import gzip
import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.orc as orc
from source_samples import git

SCHEMAS = {
    "origin_visit_status": {"origin": pa.string(), "visit": pa.int64(), "date": pa.timestamp("ns"), "status": pa.string(),
                            "snapshot": pa.string(), "type": pa.string()},
    "snapshot_branch": {"snapshot_id": pa.string(), "name": pa.binary(), "target": pa.string(), "target_type": pa.string()},
    "revision": {"id": pa.string(), "message": pa.binary(), "date": pa.timestamp("ns"), "committer_date": pa.timestamp("ns"),
                 "directory": pa.string(), "type": pa.string()},
    "directory_entry": {"directory_id": pa.string(), "name": pa.binary(), "type": pa.string(), "target": pa.string(),
                        "perms": pa.int32()},
    "content": {"sha1": pa.string(), "sha1_git": pa.string(), "length": pa.int64(), "status": pa.string()},
}  # fmt: skip
KINDS = {"blob": "file", "tree": "dir", "commit": "rev"}


def git_id(kind: str, data: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(data)}\0".encode() + data).hexdigest()


def snapshot_id(branches: dict[str, str]) -> str:
    """The identifier of a snapshot, by the definition of Software Heritage's persistent identifiers."""
    parts = [b"revision " + name.encode() + b"\0" + b"20:" + bytes.fromhex(target) for name, target in sorted(branches.items())]
    return git_id("snapshot", b"".join(parts))


class Heritage:
    """Gathers rows and contents, then writes them as the export and the object store have them."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {table: [] for table in SCHEMAS}
        self.contents: dict[str, bytes] = {}

    def add(self, folder: Path, name: str, *, visit: int = 1, status: str = "full", branches: tuple[str, ...] = ("main",)) -> str:
        """Add a repository as an origin with one visit; returns its snapshot."""
        targets = {f"refs/heads/{branch}": git(folder, "rev-parse", branch) for branch in branches}
        snapshot = snapshot_id(targets)
        date = datetime(2023, 1, visit)
        values = {"visit": visit, "date": date, "status": status, "snapshot": snapshot, "type": "git"}
        self.rows["origin_visit_status"].append({"origin": f"https://github.com/{name}", **values})
        for branch, target in targets.items():
            self._once("snapshot_branch", snapshot_id=snapshot, name=branch.encode(), target=target, target_type="revision")
            self._revision(folder, target)
        return snapshot

    def _once(self, table: str, **row: Any) -> None:
        if row not in self.rows[table]:
            self.rows[table].append(row)

    def _revision(self, folder: Path, commit: str) -> None:
        tree, seconds = git(folder, "show", "--no-patch", "--format=%T %ct", commit).split()
        date = datetime.fromtimestamp(int(seconds))
        row = {"message": b"m", "date": date, "committer_date": date, "directory": tree, "type": "git"}
        self._once("revision", id=commit, **row)
        self._directory(folder, tree)

    def _directory(self, folder: Path, tree: str) -> None:
        for line in git(folder, "ls-tree", "-z", tree).split("\0")[:-1]:
            description, name = line.split("\t")
            mode, kind, target = description.split()
            row = {"name": name.encode("utf-8", "surrogateescape"), "type": KINDS[kind], "perms": int(mode, 8)}
            self._once("directory_entry", directory_id=tree, target=target, **row)
            if kind == "tree":
                self._directory(folder, target)
            elif kind == "blob":
                self._content(folder, target)

    def _content(self, folder: Path, blob: str) -> None:
        import subprocess

        data = subprocess.run(["git", "cat-file", "blob", blob], cwd=folder, capture_output=True, check=True).stdout
        assert git_id("blob", data) == blob
        sha1 = hashlib.sha1(data).hexdigest()
        self._once("content", sha1=sha1, sha1_git=blob, length=len(data), status="visible")
        self.contents[sha1] = gzip.compress(data)

    def write(self, folder: Path) -> tuple[str, str]:
        """Write everything below `folder`; returns the places of the graph and of the contents."""
        for table, schema in SCHEMAS.items():
            (folder / "orc" / table).mkdir(parents=True, exist_ok=True)
            for part in range(2):
                rows = pa.Table.from_pylist(self.rows[table][part::2], schema=pa.schema(schema))
                orc.write_table(rows, folder / "orc" / table / f"{part}.orc", compression="zstd")
        (folder / "content").mkdir(exist_ok=True)
        for sha1, data in self.contents.items():
            (folder / "content" / sha1).write_bytes(data)
        return str(folder / "orc"), str(folder / "content")
