import os
import shutil
from pathlib import Path

import pytest
from source_samples import refusals, write_folder

from starloom.data.sources.intermediate_code import (
    EMPTY,
    FAILED,
    NO_COMPILER,
    NOT_COMPILED,
    NOT_TEXT,
    OTHER_FILES,
    IntermediateCode,
    cleaned,
    stands_alone,
)
from starloom.data.sources.record import ReadSettings, Record
from starloom.data.sources.rendering import split

SETTINGS = ReadSettings()
FILES = {f"f{number}.c": f"int f{number}(int x) {{ return x * {number}; }}\n".encode() for number in range(40)}
IR = """; ModuleID = '-'
source_filename = "-"
target datalayout = "e-m:e"
target triple = "x86_64-pc-linux-gnu"

; Function Attrs: nounwind
define i32 @f(i32 %x) #0 {
entry:
  %mul = mul nsw i32 %x, 3, !tbaa !5
  ret i32 %mul
}

attributes #0 = { nounwind "target-cpu"="x86-64" "target-features"="+cx8" "no-trapping-math"="true" "tune-cpu"="generic" }

!llvm.module.flags = !{!0}
!llvm.ident = !{!4}

!0 = !{i32 1, !"wchar_size", i32 4}
!4 = !{!"Debian clang version 14.0.6"}
!5 = !{!6, !6, i64 0}
"""
CLEAN = """; Function Attrs: nounwind
define i32 @f(i32 %x) #0 {
entry:
  %mul = mul nsw i32 %x, 3, !tbaa !5
  ret i32 %mul
}

attributes #0 = { nounwind "no-trapping-math"="true" }

!5 = !{!6, !6, i64 0}
"""


def stand_in(folder: Path, script: str) -> str:
    """A program in the place of clang; `$LEVEL` is its optimisation."""
    path = folder / "clang"
    path.write_text(f"#!/bin/sh\nLEVEL=$2\n{script}\n")
    path.chmod(0o755)
    return str(path)


def read(folder: Path, compiler: str, files: dict[str, bytes] = FILES, **options: int) -> list[Record]:
    return list(IntermediateCode(write_folder(folder / "tool", files), compiler=compiler, **options).records(SETTINGS))


def test_ir_is_cleaned_of_platform_and_vendor() -> None:
    assert cleaned(IR) == CLEAN


def test_pairs_go_both_ways_and_mostly_for_size(tmp_path: Path) -> None:
    compiler = stand_in(tmp_path, 'echo "define $LEVEL" > out.ll')
    records = read(tmp_path, compiler)
    found = {"<code_to_intermediate>": 0, "<intermediate_to_code>": 0, "-Oz": 0, "-O3": 0}
    for record in records:
        assert record.content is not None
        before, mark, after, end, _ = split(record.content.decode())
        code, text = (before, after) if mark == "<code_to_intermediate>" else (after, before)
        assert (code.encode(), end) == (FILES[record.path], "<|endoftext|>")
        found[mark] += 1
        found[text.split()[1]] += 1
    assert found["-Oz"] > 2 * found["-O3"] > 0
    assert min(found["<code_to_intermediate>"], found["<intermediate_to_code>"]) >= 10
    assert records == read(tmp_path, compiler)


def test_a_file_that_is_no_unit_says_why(tmp_path: Path) -> None:
    files = {
        "LICENSE": b"MIT",
        "a.py": b"1",
        "latin.c": b"\xe9",
        "nul.c": b"\0",
        "own.c": b'#include "own.h"\n',
        "empty.c": b"int x;\n",
    }
    records = read(tmp_path, stand_in(tmp_path, "echo '@x = global i32 0' > out.ll"), files)
    expected = {"a.py": NOT_COMPILED, "latin.c": NOT_TEXT, "nul.c": NOT_TEXT, "own.c": OTHER_FILES, "empty.c": EMPTY}
    assert refusals(records) == expected
    assert refusals(read(tmp_path, "no-such-clang", {"a.c": b"int f;"})) == expected | {
        "latin.c": NO_COMPILER,
        "nul.c": NO_COMPILER,
        "own.c": NO_COMPILER,
        "empty.c": NO_COMPILER,
        "a.c": NO_COMPILER,
    }


@pytest.mark.parametrize(
    "script",
    [
        "exit 1",
        "true",
        "while true; do :; done",
        "head -c 100000000 /dev/zero > out.ll",
        f"{shutil.which('python3')} -c 'bytearray(4 << 30)' && echo define > out.ll",
    ],
    ids=["fails", "silent", "loops", "floods", "eats"],
)
def test_a_compiler_out_of_bounds_costs_one_file(tmp_path: Path, script: str) -> None:
    (record,) = read(tmp_path, stand_in(tmp_path, script), {"a.c": b"int f;"}, seconds=1)
    assert record.refused == FAILED


def test_the_compiler_sees_neither_this_folder_nor_this_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_TEST", "x")
    compiler = stand_in(tmp_path, '(echo define x; ls -A; echo "${SECRET_OF_TEST-none}") > out.ll')
    (record,) = read(tmp_path, compiler, {"a.c": b"int f;"})
    assert record.content is not None
    assert b"define x\nout.ll\nnone" in record.content


@pytest.mark.parametrize(
    "code",
    [
        "int x;",
        "#include <stdio.h>\n#  include <sys/types.h>\n",
        "#define A 1\n#if A\n#endif\n",
        "#import <Foundation/NSObject.h>\n",
        "// see #1 for why it is included\n",
    ],
)
def test_units_that_stand_alone(code: str) -> None:
    assert stands_alone(code)


@pytest.mark.parametrize(
    "code",
    [
        '#include "a.h"',
        "#include </etc/passwd>",
        "#include <../../../etc/passwd>",
        "#include <a/../../b>",
        "#include FILE",
        '#inc\\\nlude "/etc/passwd"',
        '#inc\\\r\nlude "/etc/passwd"',
        '%:include "/etc/passwd"',
        '??=include "/etc/passwd"',
        '#??/\ninclude "/etc/passwd"',
        '# /* x */ include "/etc/passwd"',
        '#include /**/ "/etc/passwd"',
        '#include_next "a.h"',
        '#embed "/etc/passwd"',
        "char s[] = {\n#\tembed </etc/passwd>\n};",
        '#import "a.h"',
    ],
)
def test_units_that_would_pull_files_in(code: str) -> None:
    assert not stands_alone(code)


@pytest.mark.parametrize("unit", ["#", "# ", "#/*", "#include <", "\\\n", "%:", "??=", "#include <a", "a"])
def test_a_hostile_megabyte_is_looked_through_in_one_pass(unit: str) -> None:
    stands_alone(unit * (2**20 // len(unit)))


@pytest.mark.skipif(shutil.which("clang") is None, reason="clang is not installed")
def test_clang_itself(tmp_path: Path) -> None:
    files = {
        "a.c": b"#include <stddef.h>\nsize_t f(size_t width) { return width * 3; }\n",
        "b.cpp": b"template <int N> struct T { static int f(int x) { return x + N; } };\nint g(int x) { return T<3>::f(x); }\n",
        "bad.c": b"int f( {\n",
        "bomb.cpp": b"template <int N> struct T { T<N + 1> a; };\nT<0> t;\n",
    }
    records = {record.path: record for record in read(tmp_path, os.fspath(Path(shutil.which("clang") or "")), files)}
    assert {path: record.refused for path, record in records.items() if record.refused} == {"bad.c": FAILED, "bomb.cpp": FAILED}
    for path in ("a.c", "b.cpp"):
        text = (records[path].content or b"").decode()
        assert "define " in text
        assert "%width" in text or path == "b.cpp"
        assert all(word not in text for word in ("target triple", "target-cpu", "clang version", "ModuleID", "x86"))
