"""Source files with their LLVM IR, in both directions (specification §4.7, section 5.6 of the paper):

    code<code_to_intermediate>ir        or        ir<intermediate_to_code>code

C, C++ and Objective-C by clang, one file for itself, `-Oz` for four in five and `-O3` else. The compiler runs in a process of
its own in an empty folder, with limits on time, memory and output; it opens no connections, and a file that would pull other
files in than system headers is refused, so that nothing of this machine can get into a document.
"""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from starloom.data.licences.evidence import speaks_for_others
from starloom.data.sources.files import Files
from starloom.data.sources.record import ReadSettings, Record
from starloom.data.sources.rendering import Rendering

NO_COMPILER = "no clang on this machine"
NOT_COMPILED = "not a language that is compiled"
NOT_TEXT = "not UTF-8"
OTHER_FILES = "needs other files"
FAILED = "does not compile"
EMPTY = "nothing but declarations"

SIZE_SHARE = 0.8
"""The share of pairs that are optimised for size; directions are half and half (§4.7)."""

_LANGUAGES = {
    ".c": ("c", "C"),
    ".cc": ("c++", "C++"),
    ".cpp": ("c++", "C++"),
    ".cxx": ("c++", "C++"),
    ".m": ("objective-c", "Objective-C"),
}
_LIMITS = 'ulimit -t "$1"; ulimit -v "$2" 2>/dev/null; ulimit -f "$3"; ulimit -c 0; shift 3; exec "$@"'
_OUTPUT_BYTES = 20 * 2**20

_INCLUDE = re.compile(r"(?:#|%:|\?\?=)[ \t\v\f]*(?:include\w*|import|embed)\b")
_SAFE_INCLUDE = re.compile(r"#[ \t]*(?:include|import)[ \t]*<(?![/.])(?![^>\n]*\.\.)[\w./+-]+>")
_HIDDEN = re.compile(r"(?:#|%:|\?\?=)[ \t\v\f]*/\*|\?\?/\n")

_DROPPED = re.compile(r'; ModuleID|source_filename|target |!llvm\.(ident|module\.flags)|!\d+ = !\{(!"[^"]*clang|i32 \d+, !")')
_PLATFORM = re.compile(r' "(target-cpu|target-features|tune-cpu|min-legal-vector-width)"="[^"]*"')


@dataclass(frozen=True)
class IntermediateCode:
    """The C, C++ and Objective-C files of the folder, archive or git repository at `path`, each with its LLVM IR.

    A compilation may take `seconds` of processor time and `memory` bytes.
    """

    path: Path
    repository: str | None = None
    revision: str | None = None
    compiler: str = "clang"
    seconds: int = 20
    memory: int = 2 * 2**30

    def records(self, settings: ReadSettings) -> Iterator[Record]:
        """One record a file: a pair, a licence's evidence, or the reason why it is neither. Raises `InputError`."""
        compiler = shutil.which(self.compiler)
        for record in Files(self.path, self.repository, self.revision).records(settings):
            if record.content is None or (speaks_for_others(record.path) and _language(record.path) is None):
                yield record
            elif reason := _reason(record, compiler):
                yield replace(record, content=None, refused=reason)
            else:
                assert compiler is not None
                yield self._pair(record, compiler, settings)

    def _pair(self, record: Record, compiler: str, settings: ReadSettings) -> Record:
        draw = random.Random(f"{settings.seed}/intermediate/{record.repository}/{record.path}")
        level = "-Oz" if draw.random() < SIZE_SHARE else "-O3"
        compiled, problem = self._compile(record, compiler, level, settings)
        if compiled is None:
            return replace(record, content=None, refused=FAILED, detail=problem)
        text = cleaned(compiled)
        if "define " not in text:
            return replace(record, content=None, refused=EMPTY)
        code = (record.content or b"").decode()
        if draw.random() < 0.5:
            document = Rendering().text(code).mark("<code_to_intermediate>").text(text)
        else:
            document = Rendering().text(text).mark("<intermediate_to_code>").text(code)
        language = _LANGUAGES[Path(record.path).suffix.lower()][1]
        return replace(record, kind="intermediate code", content=document.to_bytes(), language=language)

    def _compile(self, record: Record, compiler: str, level: str, settings: ReadSettings) -> tuple[str | None, str]:
        """The IR, or None and why there is none."""
        language = _LANGUAGES[Path(record.path).suffix.lower()][0]
        options = [f"-x{language}", level, "-S", "-emit-llvm", "-fno-discard-value-names", "-w", "-o", "out.ll", "-"]
        limits = [str(self.seconds), str(self.memory // 1024), str(_OUTPUT_BYTES // 512)]
        with TemporaryDirectory(dir=settings.scratch, prefix="starloom-compile-") as folder:
            try:
                done = subprocess.run(
                    ["/bin/sh", "-c", _LIMITS, "sh", *limits, compiler, *options],
                    input=record.content,
                    cwd=folder,
                    env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TMPDIR": folder},
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    timeout=4 * self.seconds,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return None, "time"
            output = Path(folder) / "out.ll"
            if done.returncode or not output.is_file() or output.stat().st_size > _OUTPUT_BYTES:
                return None, f"exit code {done.returncode}"
            return output.read_bytes().decode("utf-8", "replace"), ""


def _language(path: str) -> str | None:
    return _LANGUAGES.get(Path(path).suffix.lower(), (None, None))[1]


def _reason(record: Record, compiler: str | None) -> str | None:
    if _language(record.path) is None:
        return NOT_COMPILED
    if compiler is None:
        return NO_COMPILER
    try:
        code = (record.content or b"").decode()
    except UnicodeDecodeError:
        return NOT_TEXT
    if "\0" in code:
        return NOT_TEXT
    return None if stands_alone(code) else OTHER_FILES


def stands_alone(code: str) -> bool:
    """Whether a file includes nothing but system headers by plain names: no other form of inclusion may hide in it."""
    code = code.replace("\\\r\n", "").replace("\\\n", "")
    if _HIDDEN.search(code):
        return False
    return all(_SAFE_INCLUDE.match(code, found.start()) for found in _INCLUDE.finditer(code))


def cleaned(ir: str) -> str:
    """`ir` without what speaks of the file, the platform, the vendor and the memory layout (§4.7)."""
    lines = [_PLATFORM.sub("", line) for line in ir.split("\n") if not _DROPPED.match(line)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"
