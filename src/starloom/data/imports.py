"""Which files of a repository a file imports: Python, JavaScript and TypeScript, Go, C and C++, Java.

Import lines are found by patterns (nothing is parsed, so text in a string may be taken for an import) and resolved
among the repository's own paths alone. An import that leads outside, or nowhere, is no edge. Nothing is read from disk here.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

MAX_IMPORT_CHARS = 64 * 1024
"""Imports stand at the head of a file; no more of it is searched."""

MAX_IMPORTS = 256
"""No more imports of one file are followed."""

MAX_DEPTH = 64
"""So many folders above a file at most are looked in, the nearest; deeper trees are not repositories of code."""

MAX_ROOTS = 64
"""So many folders at most are tried as the root that an import's first name is below."""

_PYTHON = re.compile(
    r"^[ \t]*+(?:from[ \t]++(\.*+)([\w.]*+)[ \t]++import[ \t]++(\([^)]{0,2000}+\)|[^#\n]*+)|import[ \t]++([^#\n]++))",
    re.MULTILINE,
)
_SCRIPT = re.compile(r"""(?:\bfrom|\bimport|\brequire[ \t]*+\(|\bimport[ \t]*+\()[ \t]*+["'](\.[^"'\n]*+)["']""")
_GO_BLOCK = re.compile(r"^import[ \t]*+\(([^)]{0,8000}+)\)", re.MULTILINE)
_GO_LINE = re.compile(r'^import[ \t]++(?:[\w.]++[ \t]++)?"([^"\n]++)"', re.MULTILINE)
_GO_QUOTED = re.compile(r'"([^"\n]++)"')
_INCLUDE = re.compile(r'^[ \t]*+#[ \t]*+(?:include|import)[ \t]*+["<]([^">\n]++)[">]', re.MULTILINE)
_JAVA = re.compile(r"^[ \t]*+import[ \t]++(static[ \t]++)?(\w++(?:\.\w++)*+)(\.\*)?[ \t]*+;", re.MULTILINE)

_PACKAGE = "__init__.py"  # an absolute import never begins inside a package
_SCRIPT_ENDINGS = ("", ".ts", ".tsx", ".d.ts", ".js", ".jsx", ".mjs", ".cjs", ".vue", ".svelte", ".json")
_SCRIPT_INDEX = ("/index.ts", "/index.tsx", "/index.js", "/index.jsx", "/index.mjs", "/index.d.ts")


class Tree:
    """The paths of a repository, for looking up imports."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = frozenset(paths)
        self._files: dict[str, list[str]] = {}
        for path in sorted(self.paths):
            self._files.setdefault(posixpath.dirname(path), []).append(path)
        self._folders = {folder for path in self._files for folder in (path, *_upwards(path))}
        roots: dict[str, set[str]] = {}
        for path in (*self.paths, *self._folders):
            roots.setdefault(_key(posixpath.basename(path)), set()).add(posixpath.dirname(path))
        self._roots = {key: sorted(found, key=lambda root: (root.count("/"), root)) for key, found in roots.items()}

    def files_in(self, folder: str) -> list[str]:
        """The files directly in a folder, by name."""
        return self._files.get(folder, [])

    def first(self, candidates: Iterable[str]) -> str | None:
        """The first of these paths that is a file."""
        return next((candidate for candidate in candidates if candidate in self.paths), None)

    def find(self, candidates: Sequence[str], near: str, no_root_has: str = "") -> str | None:
        """The first of these relative paths below the nearest folder above `near` that has one, else below the shallowest.

        Folders with a file called `no_root_has` are passed over.
        """
        if _key(posixpath.basename(candidates[0])) not in self._roots:
            return None  # there is no file or folder of this name anywhere, as with most imports from outside
        roots = self._places(candidates[0], near)
        if no_root_has:
            roots = (root for root in roots if posixpath.join(root, no_root_has) not in self.paths)
        return self.first(posixpath.join(root, candidate) for root in roots for candidate in candidates)

    def find_folder(self, folder: str, near: str) -> str | None:
        """A folder by its relative path, likewise."""
        paths = (posixpath.join(root, folder) for root in self._places(folder, near))
        return next((path for path in paths if path in self._folders), None)

    def _places(self, relative: str, near: str) -> Iterator[str]:
        yield from _upwards(near)
        yield from self._roots.get(_key(relative.partition("/")[0]), [])[:MAX_ROOTS]


def _key(name: str) -> str:
    """What roots are looked up by: a name up to its first dot, so that modules and packages have the same."""
    return name.partition(".")[0]


def _upwards(path: str) -> Iterator[str]:
    """The folders above a path, the nearest first, the root of the repository ("") last."""
    for _ in range(MAX_DEPTH):
        path = posixpath.dirname(path)
        if not path:
            break
        yield path
    yield ""


def imports(path: str, text: str, language: str, tree: Tree) -> list[str]:
    """The files of `tree` that this one imports, each once, in the order of the import lines, without itself."""
    read = _READERS.get(language)
    if read is None:
        return []
    found = islice(read(path, text[:MAX_IMPORT_CHARS], tree), MAX_IMPORTS)
    return [other for other in dict.fromkeys(found) if other != path]


def _python(path: str, text: str, tree: Tree) -> Iterator[str]:
    for dots, module, names, plain in _PYTHON.findall(text):
        if plain:
            for item in plain.split(","):
                yield from _python_module(path, 0, (item.split() or [""])[0], [], tree)
        else:
            imported = [(item.split() or [""])[0] for item in names.strip("() \t\r\n\\").split(",")]
            yield from _python_module(path, len(dots), module, imported, tree)


def _python_module(path: str, dots: int, module: str, names: list[str], tree: Tree) -> Iterator[str]:
    """The files of `from ..module import names`: each name that is a module itself, else the module's own file."""
    base = module.strip(".").replace(".", "/")
    found = False
    for name in [*filter(str.isidentifier, names), ""]:
        stem = "/".join(part for part in (base, name) if part)
        candidates = [f"{stem}.py", f"{stem}/{_PACKAGE}", f"{stem}.pyi"] if stem else [_PACKAGE]
        if name or not found:
            target = _relative(path, dots, candidates, tree) if dots else tree.find(candidates, path, _PACKAGE) if stem else None
            if target is not None:
                found = True
                yield target


def _relative(path: str, dots: int, candidates: list[str], tree: Tree) -> str | None:
    folder = posixpath.dirname(path)
    for _ in range(dots - 1):
        folder = posixpath.dirname(folder)
    return tree.first(posixpath.join(folder, candidate) for candidate in candidates)


def _script(path: str, text: str, tree: Tree) -> Iterator[str]:
    for target in _SCRIPT.findall(text):
        base = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        stem = re.sub(r"\.(?:c|m)?jsx?$", "", base)  # TypeScript names the file that will be compiled
        candidates = [base + ending for ending in (*_SCRIPT_ENDINGS, *_SCRIPT_INDEX)] + [stem + ".ts", stem + ".tsx"]
        found = tree.first(candidates)
        if found is not None:
            yield found


def _go(path: str, text: str, tree: Tree) -> Iterator[str]:
    blocks = [name for block in _GO_BLOCK.findall(text) for name in _GO_QUOTED.findall(block)]
    for package in [*_GO_LINE.findall(text), *blocks]:
        first, _, rest = package.partition("/")
        while "." in first and rest:  # the standard library has no host name; of the rest, the longest end that is a folder here
            files = [file for file in tree.files_in(rest) if file.endswith(".go") and not file.endswith("_test.go")]
            if files:
                yield from files
                break
            rest = rest.partition("/")[2]


def _include(path: str, text: str, tree: Tree) -> Iterator[str]:
    for name in _INCLUDE.findall(text):
        beside = posixpath.normpath(posixpath.join(posixpath.dirname(path), name))
        found = beside if beside in tree.paths else tree.find([posixpath.normpath(name)], path)
        if found is not None:
            yield found


def _java(path: str, text: str, tree: Tree) -> Iterator[str]:
    for static, name, star in _JAVA.findall(text):
        base = name.replace(".", "/")
        found = tree.find([f"{base}.java"], path)
        if found is None and static:
            found = tree.find([f"{posixpath.dirname(base)}.java"], path)
        if found is not None:
            yield found
        elif star and (folder := tree.find_folder(base, path)) is not None:
            yield from (file for file in tree.files_in(folder) if file.endswith(".java"))


_READERS: Mapping[str, Callable[[str, str, Tree], Iterator[str]]] = {
    "C": _include,
    "C++": _include,
    "Cuda": _include,
    "Go": _go,
    "Java": _java,
    "JavaScript": _script,
    "Objective-C": _include,
    "Python": _python,
    "Svelte": _script,
    "TSX": _script,
    "TypeScript": _script,
    "Vue": _script,
}

IMPORTING_LANGUAGES = frozenset(_READERS)
"""Linguist's names of the languages whose imports are understood."""
