"""Jupyter notebooks as documents: the structured form and the script form (specification §4.5, §5.4 of the paper).

    structured   <jupyter_start><jupyter_text>t0<jupyter_code>c0<jupyter_output>o0<jupyter_text>t1 ...
    script       <jupyter_script>code, with Markdown and magics as comments, as Jupytext writes them

Reads notebook formats 3 and 4. Never runs anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Literal

from starloom.data.sources.record import Record
from starloom.data.sources.rendering import Rendering

ENDING = ".ipynb"

NOT_A_NOTEBOOK = "not a notebook"
OTHER_LANGUAGE = "notebook in a language that is not known"
NOT_PYTHON = "notebook not in Python"
ONE_KIND = "notebook without both code and Markdown"
NO_CODE = "notebook without code"

OUTPUT_CHARACTERS = 1000
"""A longer output is cut (§4.5, the published code)."""

_LANGUAGES = {
    "python": ("Python", "#"),
    "r": ("R", "#"),
    "julia": ("Julia", "#"),
    "ruby": ("Ruby", "#"),
    "bash": ("Shell", "#"),
    "perl": ("Perl", "#"),
    "scala": ("Scala", "//"),
    "java": ("Java", "//"),
    "kotlin": ("Kotlin", "//"),
    "javascript": ("JavaScript", "//"),
    "typescript": ("TypeScript", "//"),
    "c++": ("C++", "//"),
    "c#": ("C#", "//"),
    "f#": ("F#", "//"),
    "go": ("Go", "//"),
    "rust": ("Rust", "//"),
    "swift": ("Swift", "//"),
    "php": ("PHP", "//"),
    "haskell": ("Haskell", "--"),
    "lua": ("Lua", "--"),
    "sql": ("SQL", "--"),
    "clojure": ("Clojure", ";;"),
    "matlab": ("MATLAB", "%"),
    "octave": ("MATLAB", "%"),
}
_ALIASES = {"ir": "r", "c++11": "c++", "c++14": "c++", "c++17": "c++", "csharp": "c#", "golang": "go", "sh": "bash"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell, or adjacent ones of a kind merged: its text, and for code what its last run printed."""

    kind: Literal["code", "markdown"]
    text: str
    output: str = ""


def render_notebook(record: Record, form: Literal["structured", "script"]) -> Record:
    """The record of a notebook file with its document, or refused with the reason why there is none."""
    notebook = _parsed(record.content or b"")
    if notebook is None:
        return _refused(record, NOT_A_NOTEBOOK)
    cells, language = _cells(notebook), _language(notebook)
    render = _structured if form == "structured" else _script
    return render(record, cells, language)


def _refused(record: Record, reason: str, detail: str = "") -> Record:
    return replace(record, content=None, refused=reason, detail=detail)


def _structured(record: Record, cells: list[Cell], language: str) -> Record:
    if language != "python":
        return _refused(record, NOT_PYTHON, language)
    if {cell.kind for cell in cells} != {"code", "markdown"}:
        return _refused(record, ONE_KIND)
    document = Rendering().mark("<jupyter_start>")
    for cell in _merged(cells):
        if cell.kind == "markdown":
            document.mark("<jupyter_text>").text(cell.text)
            continue
        document.mark("<jupyter_code>").text(cell.text).mark("<jupyter_output>")
        if cell.output:
            document.text(_cut(cell.output))
        else:
            document.mark("<empty_output>")
    return replace(record, kind="notebook", content=document.to_bytes(), language="Python")


def _script(record: Record, cells: list[Cell], language: str) -> Record:
    if language not in _LANGUAGES:
        return _refused(record, OTHER_LANGUAGE, language)
    if not any(cell.kind == "code" for cell in cells):
        return _refused(record, NO_CODE)
    name, comment = _LANGUAGES[language]
    code = "\n\n".join(_commented(cell, comment, language == "python").rstrip() for cell in cells) + "\n"
    content = Rendering().mark("<jupyter_script>").text(code).to_bytes()
    return replace(record, kind="notebook script", content=content, language=name)


def _commented(cell: Cell, comment: str, has_magics: bool) -> str:
    lines = cell.text.splitlines()
    if cell.kind == "code" and has_magics:
        whole = bool(lines) and lines[0].startswith("%%")
        return "\n".join(f"{comment} {line}" if whole or line.lstrip()[:1] in ("%", "!") else line for line in lines)
    return cell.text if cell.kind == "code" else "\n".join(f"{comment} {line}".rstrip() for line in lines)


def _merged(cells: list[Cell]) -> Iterator[Cell]:
    """Adjacent cells of one kind as one; of code only the last cell's output is kept (§4.5)."""
    for kind, group in groupby(cells, key=lambda cell: cell.kind):
        members = list(group)
        yield Cell(kind, "\n".join(member.text for member in members), members[-1].output)


def _cut(output: str) -> str:
    return output if len(output) <= OUTPUT_CHARACTERS else output[:OUTPUT_CHARACTERS] + "[...]"


def _parsed(data: bytes) -> dict[str, Any] | None:
    try:
        notebook = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    return notebook if isinstance(notebook, dict) and "nbformat" in notebook else None


def _language(notebook: dict[str, Any]) -> str:
    metadata = _table(notebook.get("metadata"))
    for place, key in (("language_info", "name"), ("kernelspec", "language"), ("kernelspec", "name")):
        name = _table(metadata.get(place)).get(key)
        if isinstance(name, str) and name:
            name = name.lower()
            return "python" if name.startswith(("python", "ipython")) else _ALIASES.get(name, name)
    return "python" if notebook.get("nbformat") == 3 else ""  # format 3 had no other kernels in its day


def _cells(notebook: dict[str, Any]) -> list[Cell]:
    """The code and Markdown cells that are not empty."""
    sheets = notebook.get("worksheets") if notebook.get("nbformat") == 3 else [notebook]
    found = []
    for sheet in sheets if isinstance(sheets, list) else []:
        cells = _table(sheet).get("cells")
        for cell in cells if isinstance(cells, list) else []:
            found += _cell(_table(cell))
    return found


def _cell(cell: dict[str, Any]) -> list[Cell]:
    text = _joined(cell.get("source", cell.get("input")))
    if not text.strip():
        return []
    if cell.get("cell_type") == "markdown":
        return [Cell("markdown", text)]
    if cell.get("cell_type") == "code":
        outputs = cell.get("outputs")
        return [Cell("code", text, "".join(map(_output, outputs if isinstance(outputs, list) else [])))]
    return []


def _output(output: Any) -> str:
    output = _table(output)
    return _joined(output.get("text")) or _joined(_table(output.get("data")).get("text/plain"))


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _joined(value: Any) -> str:
    """Text that a notebook holds whole or as a list of lines."""
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""
