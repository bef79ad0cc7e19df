"""Events as GitHub Archive stores them."""

import gzip
import itertools
import json
from pathlib import Path
from typing import Any

_ids = itertools.count(1)


def event(kind: str, actor: str, date: int, payload: dict[str, Any], repository: str = "own/er") -> dict[str, Any]:
    return {
        "id": str(next(_ids)),
        "type": kind,
        "actor": {"login": actor},
        "repo": {"id": 1, "name": repository},
        "created_at": f"2020-01-01T00:{date:02d}:00Z",
        "payload": payload,
    }


def issue(number: int = 7, author: str = "ann", title: str = "It breaks", body: str = "b" * 200) -> dict[str, Any]:
    return {"number": number, "title": title, "body": body, "user": {"login": author}}


def opened(about: dict[str, Any], date: int = 0) -> dict[str, Any]:
    return event("IssuesEvent", about["user"]["login"], date, {"action": "opened", "issue": about})


def comment(about: dict[str, Any], author: str, body: str, date: int = 1) -> dict[str, Any]:
    payload = {"action": "created", "issue": about, "comment": {"id": 1000 + date, "body": body, "user": {"login": author}}}
    return event("IssueCommentEvent", author, date, payload)


def write_events(path: Path, events: list[dict[str, Any]], *more: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(b"\n".join([*(json.dumps(value).encode() for value in events), *more]) + b"\n"))
    return path
