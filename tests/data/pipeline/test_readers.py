"""Every kind of source through a whole run: its template, its licence decision, its reasons."""

from __future__ import annotations

import html
import json
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pipeline_world import MIT, python, write

sys.path.insert(0, str(Path(__file__).parents[1] / "sources"))
from github_events import comment, event, issue, opened, write_events
from heritage_samples import Heritage
from source_samples import git

from starloom.data.documents import read_documents
from starloom.data.pipeline.finished import FinishedRun
from starloom.data.pipeline.inspection import Filter, inspect
from starloom.data.pipeline.run import run
from starloom.data.pipeline.settings import DataSettings, LicenceSettings

_GPL = "GNU GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007\n"
_OWN_GPL = "// SPDX-License-Identifier: GPL-3.0-only\n"
_CLANG = """#!/bin/sh
cat > /dev/null
printf 'define i32 @f(i32 %%x) {\\nentry:\\n  %%mul = mul nsw i32 %%x, 3\\n  ret i32 %%mul\\n}\\n' > out.ll
"""


class Read(NamedTuple):
    """What a run made of one record."""

    reason: str | None
    licence: str | None
    detail: str | None
    text: str


def _commit(folder: Path, message: str, files: dict[str, str | bytes]) -> str:
    write(folder, files)
    if not (folder / ".git").exists():
        git(folder, "init")
    git(folder, "add", "-A")
    git(folder, "commit", "-m", message)
    return git(folder, "rev-parse", "HEAD")


def _history(root: Path) -> tuple[dict[str, Any], dict[str, str]]:
    folder = root / "tool"
    files = {"LICENSE": MIT, "a.py": python("apples", 3), "part/COPYING": _GPL, "part/b.py": python("pears", 3)}
    names = {"first": _commit(folder, "Begin the whole thing", {**files, "own.c": _OWN_GPL + "int x;\nint y;\n"})}
    changed = {
        "permissive": ("Let apples be counted twice", {"a.py": python("apples", 3).replace("number 1", "number one")}),
        "part": ("Let pears be counted twice", {"part/b.py": python("pears", 3).replace("number 1", "number one")}),
        "own": ("Let x be longer than it was", {"own.c": _OWN_GPL + "long x;\nint y;\n"}),
        "both": ("Count in both of the files", {"a.py": python("apples", 4), "part/b.py": python("pears", 4)}),
    }
    names |= {name: _commit(folder, message, new) for name, (message, new) in changed.items()}
    return {"kind": "commits", "path": str(folder)}, {name: f"commit/{commit}" for name, commit in names.items()}


def _notebook(*cells: tuple[str, str], language: str = "python") -> str:
    made = [{"cell_type": kind, "source": text, "outputs": []} for kind, text in cells]
    return json.dumps({"nbformat": 4, "metadata": {"language_info": {"name": language}}, "cells": made})


def _notebooks(root: Path, form: str) -> dict[str, Any]:
    cells = (("markdown", f"# The {form} garden\nAsk jane.doe@some-company.com about it"), ("code", f"{form}_total = 1 + 2"))
    files = {"LICENSE": MIT, "good.ipynb": _notebook(*cells), "odd.ipynb": _notebook(*cells, language="brainf")}
    own = ("code", f"# SPDX-License-Identifier: GPL-3.0-only\n{form}_other = 3 + 4")
    folder = write(root / f"books-{form}", {**files, "gpl.ipynb": _notebook(("markdown", "# Another one to read"), own)})
    return {"kind": "files", "path": str(folder), "notebooks": form}


def _intermediate(root: Path) -> list[dict[str, Any]]:
    compiler = root / "clang"
    compiler.write_text(_CLANG)
    compiler.chmod(0o755)
    code = "int f(int first_value) { return first_value * 3; }\n"
    files = {"LICENSE": MIT, "f.c": code, "g.c": _OWN_GPL + code.replace("f(", "g("), "h.c": '#include "other.h"\n' + code}
    one = write(root / "native", files)
    two = write(root / "uncompiled", {"LICENSE": MIT, "f.c": code})
    return [
        {"kind": "intermediate code", "path": str(one), "compiler": str(compiler)},
        {"kind": "intermediate code", "path": str(two), "compiler": "no-such-compiler"},
    ]


def _heritage(root: Path) -> dict[str, Any]:
    heritage = Heritage()
    for name, licence, topic in (("own/free", MIT, "melons"), ("own/copyleft", _GPL, "limes")):
        folder = root / "swh-git" / name
        _commit(folder, "first", {"LICENSE": licence, f"src/{topic}.py": python(topic)})
        git(folder, "branch", "-M", "main")
        heritage.add(folder, name)
    graph, contents = heritage.write(root / "swh")
    return {"kind": "software heritage", "graph": graph, "contents": contents}


def _threads(root: Path) -> list[dict[str, Any]]:
    about = issue(body="It breaks when I mail jane.doe@some-company.com about it. " + "Really it does. " * 20)
    pull_events = [*_pull(root, "own/free-pull", "MIT"), *_pull(root, "own/gpl-pull", "GPL-3.0-only")]
    pull_events += _pull(root, "own/part-pull", "MIT", {"COPYING": _GPL})
    write_events(
        root / "events" / "a.json.gz", [opened(about), comment(about, "bob", "@ann: see <issue_closed>", 1), *pull_events]
    )
    return [
        {"kind": "issues", "path": str(root / "events")},
        {"kind": "pull requests", "path": str(root / "events"), "repositories": str(root / "git"), "sample": False},
    ]


def _pull(root: Path, name: str, licence: str, more: dict[str, str | bytes] | None = None) -> list[dict[str, Any]]:
    code = "".join(f"{name[4:8]}_{number} = {number}\n" for number in range(60))
    base = _commit(root / "git" / name, "base", {"a.py": code, **(more or {})})
    head = _commit(root / "git" / name, "head", {"a.py": code.replace("_30 = 30", "_30 = 'thirty'")})
    pull = {
        **{"number": 5, "title": "Make the value a word", "body": "It reads better that way, says @bob."},
        **{"merged": False, "user": {"login": "ann"}, "head": {"sha": head}},
        "base": {"sha": base, "repo": {"license": {"spdx_id": licence}, "stargazers_count": 12}},
    }
    about = {"number": 5, "title": "t", "user": {"login": "ann"}, "pull_request": {"url": "x"}}
    start = event("PullRequestEvent", "ann", 0, {"action": "opened", "number": 5, "pull_request": pull}, name)
    remark = comment(about, "bob", "Could you explain this, @ann and @eve?", 1) | {"repo": {"id": 1, "name": name}}
    closed = {"action": "closed", "number": 5, "pull_request": {**pull, "merged": True}}
    return [start, remark, event("PullRequestEvent", "bob", 2, closed, name)]


def _questions(root: Path) -> dict[str, Any]:
    def row(number: int, kind: int, body: str, **more: object) -> str:
        values = {"Id": number, "PostTypeId": kind, "Body": body, "CreationDate": "2019-01-02T03:04:05.678"} | more
        return "<row " + " ".join(f'{name}="{html.escape(str(value))}"' for name, value in values.items()) + " />\n"

    rows = [row(1, 1, "<p>How do I sort a list of lists?</p>", OwnerUserId=7)]
    rows += [row(number, 2, f"<p>With sorted, {number}</p>", ParentId=1, Score=number, OwnerUserId=9) for number in (2, 3, 4)]
    folder = write(root / "so", {"Posts.xml": f"<posts>\n{''.join(rows)}</posts>\n"})
    return {"kind": "stack overflow", "path": str(folder / "Posts.xml")}


def _pages(root: Path) -> list[dict[str, Any]]:
    page = "<html><body><h1>Gates</h1><p>How gates open, and how they close.</p></body></html>"
    files = {
        "LICENSE": MIT,
        "guide.md": "# Garden\n\nAll about the garden, and <file_sep> too.\n",
        "gates.html": page,
        "a.py": "x",
    }
    free = write(
        root / "pages", {**files, "gpl/COPYING": _GPL, "gpl/other.md": "# Other\n\nSomething else that is written here.\n"}
    )
    return [{"kind": "documentation", "path": str(free)}]


class World(NamedTuple):
    """A run over sources of every kind: with the recipe's licence rules, and with questions exempt from them too."""

    strict: dict[str, dict[str, Read]]
    exempt: dict[str, dict[str, Read]]
    commits: dict[str, str]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("readers")
    commits, names = _history(root)
    sources = [commits, _notebooks(root, "structured"), _notebooks(root, "script"), *_intermediate(root), _heritage(root)]
    sources += [*_threads(root), _questions(root), *_pages(root)]
    settings = DataSettings(sources=tuple(map(json.dumps, sources)), buckets=2, parse=False)
    run(settings, str(root / "out"), workers=0)
    strict = _read(root / "out")
    run(replace(settings, licences=LicenceSettings(exempt_kinds=("issue", "question"))), str(root / "out"), workers=0)
    return World(strict, _read(root / "out"), names)


def _read(out: Path) -> dict[str, dict[str, Read]]:
    """By kind of record, what became of each; the whole text where it is kept."""
    texts = {
        (document.repository, document.path, document.sha256): document.text for document in read_documents(out / "documents")
    }
    whole = {key[:2]: text for key, text in texts.items()}
    found: defaultdict[str, dict[str, Read]] = defaultdict(dict)
    for row in inspect(FinishedRun(str(out)), Filter(), 999):
        text = whole.get((row["repository"], row["path"]), "")
        found[row["kind"]][f"{row['repository']}/{row['path']}"] = Read(row["reason"], row["licence"], row["reason_detail"], text)
    return found


def test_nothing_is_unreadable(world: World) -> None:
    assert not [name for kind in world.strict.values() for name, read in kind.items() if read.reason == "source not readable"]


def test_commits_have_the_licence_of_the_files_that_they_change(world: World) -> None:
    read = {name: world.strict["commit"][f"tool/{path}"] for name, path in world.commits.items()}
    assert {name: commit.reason for name, commit in read.items()} == {
        "first": "first commit",
        "permissive": None,
        "part": "licence not permissive",
        "own": "licence not permissive",
        "both": "licence not permissive",
    }
    assert read["permissive"].licence == "MIT"
    assert read["permissive"].text.startswith(
        "<pr>Title: Let apples be counted twice\nusername_0<pr_status>opened<repo_name>tool<pr_base><pr_file>a.py"
    )
    assert read["permissive"].text.endswith("<pr_status>closed<pr_is_merged>True<|endoftext|>")


def test_notebooks_in_both_forms(world: World) -> None:
    structured = world.strict["notebook"]["books-structured/good.ipynb"]
    assert structured.text == (
        "<jupyter_start><jupyter_text># The structured garden\nAsk <EMAIL> about it"
        "<jupyter_code>structured_total = 1 + 2<jupyter_output><empty_output><|endoftext|>"
    )
    script = world.strict["notebook script"]["books-script/good.ipynb"]
    assert script.text == ("<jupyter_script># # The script garden\n# Ask <EMAIL> about it\n\nscript_total = 1 + 2\n<|endoftext|>")
    assert (structured.licence, script.licence) == ("MIT", "MIT")
    assert world.strict["notebook"]["books-structured/gpl.ipynb"].reason == "licence not permissive"
    assert world.strict["notebook script"]["books-script/gpl.ipynb"].reason == "licence not permissive"
    assert world.strict["file"]["books-structured/odd.ipynb"].reason == "notebook not in Python"
    assert world.strict["file"]["books-script/odd.ipynb"].reason == "notebook in a language that is not known"


def test_llvm_ir(world: World) -> None:
    pair = world.strict["intermediate code"]["native/f.c"]
    assert (pair.reason, pair.licence) == (None, "MIT")
    before, mark, after = pair.text.removesuffix("<|endoftext|>").partition(
        "<code_to_intermediate>" if "<code_to_intermediate>" in pair.text else "<intermediate_to_code>"
    )
    assert mark
    assert sorted(part.split()[0] for part in (before, after)) == ["define", "int"]
    assert world.strict["intermediate code"]["native/g.c"].reason == "licence not permissive", "its own header says so"
    assert world.strict["file"]["native/h.c"].reason == "needs other files"
    assert world.strict["file"]["uncompiled/f.c"].reason == "no clang on this machine"


def test_software_heritage(world: World) -> None:
    free, copyleft = (world.strict["file"][f"own/{name}.py"] for name in ("free/src/melons", "copyleft/src/limes"))
    assert (free.reason, free.licence, free.text) == (None, "MIT", python("melons"))
    assert (copyleft.reason, copyleft.licence) == ("licence not permissive", "GPL-3.0-only")


def test_issues(world: World) -> None:
    assert world.strict["issue"]["own/er/issues/7"].reason is None, "no licence is ever told with an issue"
    text = world.exempt["issue"]["own/er/issues/7"].text
    assert text.startswith("<issue_start>Title: It breaks\nusername_0: It breaks when I mail <EMAIL> about it.")
    assert text.endswith("<issue_comment>username_1: @username_0: see < issue_closed><|endoftext|>")


def test_pull_requests(world: World) -> None:
    for found in (world.strict, world.exempt):
        free, copyleft = (found["pull request"][f"own/{name}-pull/pull/5"] for name in ("free", "gpl"))
        assert (free.reason, free.licence) == (None, "MIT")
        assert copyleft.reason == "licence not permissive"
        part = found["pull request"]["own/part-pull/pull/5"]
        assert (part.reason, part.licence) == ("licence not permissive", "MIT AND GPL-3.0-only"), "files say more than the host"
        assert free.text.startswith(
            "<pr>Title: Make the value a word\nusername_0: It reads better that way, says @username_1."
            "<pr_status>opened<repo_name>own/free-pull<pr_base><pr_file>a.py<pr_base_code>"
        )
        assert "\n-free_30 = 30\n+free_30 = 'thirty'\n" in free.text
        assert free.text.endswith("<pr>username_1<pr_status>closed<pr_is_merged>True<|endoftext|>")


def test_stack_overflow(world: World) -> None:
    ((name, strict),) = world.strict["question"].items()
    assert (strict.reason, strict.licence) == ("licence not permissive", "CC-BY-SA-4.0")
    text = world.exempt["question"][name].text
    assert text.startswith("<issue_start>username_0: How do I sort a list of lists?<issue_comment>username_1: With sorted, ")
    assert sorted(text.split("Upvotes: ")[1:])[-1][0] == "4"


def test_documentation(world: World) -> None:
    pages = world.strict["documentation"]
    assert pages["pages/guide.md"] == Read(None, "MIT", None, "# Garden\n\nAll about the garden, and <file_sep> too.\n")
    assert pages["pages/gates.html"].text == "# Gates\n\nHow gates open, and how they close.\n"
    assert pages["pages/gpl/other.md"].reason == "licence not permissive"
    assert world.strict["file"]["pages/a.py"].reason == "not documentation"
