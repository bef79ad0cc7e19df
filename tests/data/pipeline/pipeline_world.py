"""Texts and folders for a small world of repositories, and what tests compare of a run."""

from __future__ import annotations

import hashlib
from pathlib import Path

MIT = """MIT License

Copyright (c) 2020 The authors

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation
files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy,
modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software
is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES
OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE
LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR
IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def python(topic: str, functions: int = 12) -> str:
    """A module about `topic`, unlike one about another."""
    lines = [f'"""Everything about {topic}."""\n']
    for number in range(functions):
        lines.append(
            f"\n\ndef {topic}_{number}(first, second):\n"
            f'    """Combine two values of {topic} number {number}."""\n'
            f"    {topic}_total = first * {number} + second\n"
            f"    return {topic}_total - {number * 7}\n"
        )
    return "".join(lines)


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    """A folder with these files."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def hashes(out: Path) -> dict[str, str]:
    """The SHA-256 of every table of a run, and of its report."""
    files = [path for path in sorted(out.rglob("*")) if path.suffix in (".parquet", ".rows") or path.name == "report.json"]
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
