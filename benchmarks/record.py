"""What every record holds: the machine, the commit, the command; and how it is written, as JSON and as Markdown of one name."""

from __future__ import annotations

import datetime
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from starloom.core.files import write_text

RECORDS = Path(__file__).parent / "records"


def facts() -> dict[str, Any]:
    """Where, when, from which commit and by which command a record is made."""
    return {
        "date": datetime.date.today().isoformat(),
        "machine": _processor(),
        "cores": os.cpu_count(),
        "cores_allowed": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "commit": _commit(),
        "command": shlex.join(["python", *map(_portable, sys.orig_argv[1:])]),
    }


def _portable(word: str) -> str:
    """An absolute path by its last part alone: where things lie on one machine says nothing on another."""
    return Path(word).name if Path(word).is_absolute() else word


def write(name: str | None, record: Mapping[str, Any], markdown: str) -> None:
    """Print `markdown`; with a name, write DATE-name.json and .md into the records."""
    print(markdown)
    if name:
        stem = f"{record['facts']['date']}-{name}"
        write_text(RECORDS / f"{stem}.json", json.dumps(record, indent=1) + "\n")
        write_text(RECORDS / f"{stem}.md", markdown + "\n")
        print(f"\nwritten: {RECORDS / stem}.json, .md")


def heading(title: str, known: Mapping[str, Any], *notes: str) -> str:
    """The head of a record's Markdown."""
    cores = f"{known['cores_allowed']} of {known['cores']} cores"
    where = (
        f"Machine: {known['machine']}, {cores}, load {known['load']:.1f} at the start; {known['date']}, commit {known['commit']}."
    )
    return "\n".join([f"# {title}", "", where, f"Command: `{known['command']}`.", *notes, ""])


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are numbers."""
    line = "|".join(["---", *("---:" for _ in columns[1:])])
    return "\n".join([f"| {' | '.join(columns)} |", f"|{line}|", *(f"| {' | '.join(row)} |" for row in rows)])


def spread(values: Sequence[float], digits: int = 0) -> str:
    """The median, and the least and the greatest in brackets."""
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f}-{max(values):,.{digits}f})"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    git = ("git", "-C", str(RECORDS))
    try:
        name = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
        changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return name.strip() + (" with changes" if changed.strip() else "")
