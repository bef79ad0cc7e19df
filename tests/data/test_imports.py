import pytest

from starloom.data.imports import IMPORTING_LANGUAGES, Tree, imports

TREE = Tree(
    [
        "src/pkg/__init__.py",
        "src/pkg/a.py",
        "src/pkg/b.py",
        "src/pkg/sub/__init__.py",
        "src/pkg/sub/c.py",
        "tests/test_a.py",
        "tools/run.py",
        "web/app.ts",
        "web/lib/index.ts",
        "web/lib/view.tsx",
        "web/old.js",
        "go.mod",
        "cmd/main.go",
        "internal/store/store.go",
        "internal/store/disk.go",
        "internal/store/store_test.go",
        "include/net/socket.h",
        "lib/socket.c",
        "lib/local.h",
        "lib/main.cc",
        "app/src/main/java/org/x/Main.java",
        "app/src/main/java/org/x/util/Text.java",
        "core/src/main/java/org/x/core/Core.java",
        "core/src/main/java/org/x/core/Node.java",
    ]
)


@pytest.mark.parametrize(
    ("path", "text", "language", "found"),
    [
        ("src/pkg/a.py", "import os\nimport pkg.b\n", "Python", ["src/pkg/b.py"]),
        ("src/pkg/a.py", "import os, pkg.sub.c as c, pkg.b\n", "Python", ["src/pkg/sub/c.py", "src/pkg/b.py"]),
        ("src/pkg/a.py", "from . import b, VERSION\n", "Python", ["src/pkg/b.py"]),
        ("src/pkg/a.py", "from .b import f  # why\n", "Python", ["src/pkg/b.py"]),
        ("src/pkg/a.py", "from . import VERSION\n", "Python", ["src/pkg/__init__.py"]),
        ("src/pkg/sub/c.py", "from .. import a\nfrom ..b import (\n    g,\n)\n", "Python", ["src/pkg/a.py", "src/pkg/b.py"]),
        (
            "src/pkg/a.py",
            "from pkg import (\n    b as bee,\n    sub,\n)\n",
            "Python",
            ["src/pkg/b.py", "src/pkg/sub/__init__.py"],
        ),
        ("tests/test_a.py", "def f():\n    from pkg.a import x\n", "Python", ["src/pkg/a.py"]),
        ("tests/test_a.py", "import numpy\nfrom .nowhere import x\nimport\nfrom . import *\n", "Python", []),
        ("src/pkg/a.py", "import pkg.a\n", "Python", []),
        ("src/pkg/a.py", "import b\n", "Python", []),
        ("tests/test_a.py", "import run\nimport a\n", "Python", ["tools/run.py"]),
        ("web/app.ts", "import { v } from './lib/view'\nimport './old.js'\n", "TypeScript", ["web/lib/view.tsx", "web/old.js"]),
        ("web/app.ts", 'export * from "./lib"\nimport React from "react"\n', "TypeScript", ["web/lib/index.ts"]),
        ("web/lib/view.tsx", "import x from '../app.js'\n", "TSX", ["web/app.ts"]),
        ("web/old.js", "const a = require('./lib'); import('./app')\n", "JavaScript", ["web/lib/index.ts", "web/app.ts"]),
        (
            "cmd/main.go",
            'import (\n\t"fmt"\n\tst "example.org/me/proj/internal/store"\n)\n',
            "Go",
            ["internal/store/disk.go", "internal/store/store.go"],
        ),
        ("cmd/main.go", 'import "internal/store"\n', "Go", []),
        ("cmd/main.go", 'import x "example.org/cmd"\n', "Go", []),
        ("lib/main.cc", '#include "local.h"\n# include <net/socket.h>\n', "C++", ["lib/local.h", "include/net/socket.h"]),
        ("lib/socket.c", '#include <stdio.h>\n#include "../include/net/socket.h"\n', "C", ["include/net/socket.h"]),
        (
            "app/src/main/java/org/x/Main.java",
            "import java.util.List;\nimport org.x.util.Text;\nimport static org.x.util.Text.trim;\nimport org.x.core.*;\n",
            "Java",
            [
                "app/src/main/java/org/x/util/Text.java",
                "core/src/main/java/org/x/core/Core.java",
                "core/src/main/java/org/x/core/Node.java",
            ],
        ),
        ("src/pkg/a.py", "import pkg.b\n", "Ruby", []),
    ],
)
def test_imports_are_found_among_the_repositorys_files(path: str, text: str, language: str, found: list[str]) -> None:
    assert imports(path, text, language, TREE) == found


@pytest.mark.parametrize("language", sorted(IMPORTING_LANGUAGES))
@pytest.mark.parametrize(
    "line", ["from zz import (\n", "import (\n", 'import "', "#include <", "import a.", "from '.", "require(", " \t"]
)
def test_hostile_texts_end(language: str, line: str) -> None:
    assert imports("cmd/main.go", line * (1_000_000 // len(line)), language, TREE) == []


def test_deep_and_many_paths_cost_no_more_than_their_length() -> None:
    deep = [f"{'a/' * 30_000}{number}/b.py" for number in range(20)]
    wide = [f"{number}/m.py" for number in range(20_000)]
    tree = Tree([*deep, *wide])
    assert imports(deep[0], "from . import c\nimport m\n", "Python", tree) == ["0/m.py"]
    assert imports("x.py", "import m.q\n" * 5000, "Python", tree) == []
