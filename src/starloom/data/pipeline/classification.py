"""The same stages on single files, in memory: what a run would find about them, without duplicates, which need all others.

The licence of a file is judged with the licence files and manifests in its folder and those above it, up to the folder that
holds `.git`, or a `*.dist-info` whose RECORD names the file; without either, in its own folder alone.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from starloom.core.errors import InputError
from starloom.data.licences.evidence import speaks_for_others
from starloom.data.pipeline.plan import make_plan
from starloom.data.pipeline.settings import DataSettings
from starloom.data.pipeline.stages.ingest import SCHEMA
from starloom.data.pipeline.step import KEPT, Plan
from starloom.data.sources.record import TOO_LARGE
from starloom.redaction import find

_SHOWN = (
    *("size", "encoding", "language", "language_confident", "is_vendor", "is_generated", "licence", "licence_type"),
    *("licence_source", "syntax_errors", "malware_signs"),
)


def classify(path: Path, settings: DataSettings) -> dict[str, Any]:
    """What a run with these settings would find about the file at `path`, ready for JSON. Raises `InputError`.

    `findings` are the personal data and secrets by kind, rule and line, without their values; `verdict` is `kept` or the
    first reason against the file.
    """
    if not path.is_file() or path.is_symlink():
        raise InputError(f"'{path}' is not a file: classify looks at single files")
    root = _root(path.absolute())
    rows = [_row(root, path.absolute(), settings.max_file_bytes)]
    rows += [_row(root, other, settings.max_file_bytes) for other in _speaking(root, path.absolute())]
    known = _judged(pa.Table.from_pylist(rows, schema=SCHEMA), make_plan(settings))
    text = known["text"]
    findings = [] if text is None else find(text, betterleaks=settings.redaction.secrets)
    reason = next((reason for reason in known["reasons"] if reason["reason"]), None)
    return {
        "path": str(path),
        **{name: known[name] for name in _SHOWN},
        "findings": [
            {"kind": str(found.kind), "rule": found.rule, "line": text.count("\n", 0, found.start) + 1} for found in findings
        ],
        "verdict": "kept" if reason is None else reason["reason"],
        "reason_step": None if reason is None else reason["step"],
        "detail": None if reason is None else reason["detail"],
    }


def _root(path: Path) -> Path:
    """The folder of the repository, or of the installed distributions, that a file lies in."""
    return next((folder for folder in path.parents if (folder / ".git").exists() or _distribution(folder, path)), path.parent)


def _distribution(root: Path, path: Path) -> Path | None:
    """The `*.dist-info` in `root` whose RECORD names the file at `path`; others there speak of other packages."""
    inside = path.relative_to(root).as_posix()
    return next((info for info in sorted(root.glob("*.dist-info")) if inside in _recorded(info)), None)


def _recorded(info: Path) -> set[str]:
    """The paths of a distribution's files, as its RECORD lists them; none where it cannot be read."""
    try:
        with (info / "RECORD").open(encoding="utf-8", newline="") as lines:
            return {line[0] for line in csv.reader(lines) if line}
    except (OSError, UnicodeDecodeError, csv.Error):
        return set()


def _speaking(root: Path, path: Path) -> list[Path]:
    """The files that may tell the licence of the file at `path`."""
    folders = [folder for folder in path.parents if folder == root or root in folder.parents]
    found = [other for folder in folders for other in sorted(folder.iterdir())]
    if info := _distribution(root, path):
        found += sorted(info.rglob("*"))
    return [other for other in found if other != path and other.is_file() and speaks_for_others(other.name)]


def _row(root: Path, path: Path, max_bytes: int) -> dict[str, Any]:
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= max_bytes else None
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror}") from error
    place = {"id": 0, "source": root.name, "repository": root.name, "path": path.relative_to(root).as_posix(), "kind": "file"}
    return {**place, "size": size, "content": content, "dropped": None if content is not None else TOO_LARGE}


def _judged(table: pa.Table, plan: Plan) -> dict[str, Any]:
    """What each stage says of the first row; exchanges are passed over."""
    columns = {(plan.ingest.name if name in ("dropped", "detail") else "", name): table.column(name) for name in SCHEMA.names}
    kept = np.asarray(table.column("dropped").is_null())
    reasons = [_reason(plan.ingest.name, table)]
    for step in plan.steps:
        if step.gives != "columns" or step.takes or step.name == "verdict":
            continue
        given = {name: columns[_key(name)] for name in step.reads if name != KEPT}
        given |= {KEPT: pa.chunked_array([kept])} if KEPT in step.reads else {}
        output = step.function(pa.table(given))
        for name in output.column_names:
            columns[(step.name if name in ("dropped", "detail") else "", name)] = output.column(name)
        if step.may_drop:
            kept &= np.asarray(output.column("dropped").is_null())
            reasons.append(_reason(step.name, output))
    first = {name: column[0].as_py() for (step, name), column in columns.items() if not step}
    return {**first, "reasons": reasons}


def _key(name: str) -> tuple[str, str]:
    step, _, own = name.rpartition(".")
    return step, own


def _reason(step: str, table: pa.Table) -> dict[str, Any]:
    return {"step": step, "reason": table.column("dropped")[0].as_py(), "detail": table.column("detail")[0].as_py()}
