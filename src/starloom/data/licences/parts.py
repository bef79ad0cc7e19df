"""The parts of a licence file that speak for named files alone. Two forms are known. Wheels of numpy, scipy and matplotlib list
what they bundle:

    Name: OpenBLAS
    Files: numpy.libs/libscipy_openblas*.so
    License: BSD-3-Clause
      Copyright (c) ...

Such a part goes on to the next `Name:` or a rule (`----`) no further in than its own `Name:`; texts that are announced as
"referred to above" belong to it. And a `debian/copyright` in free form ends in a paragraph on "the Debian packaging": the folder
`debian`. Other prose that limits a licence to some files is not taken for a part: what follows it may speak for all again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST_PARTS = 1000  # a file with more is not divided

_HEAD = re.compile(r"^(?P<indent>[ \t]*+)Name:[^\n]*+\n(?P=indent)Files:[ \t]*+(?P<files>[^\n]++)\n", re.MULTILINE)
_RULE = re.compile(r"^([ \t]*+)-{4,}+[ \t]*+$(?P<referred>\s++Full text of license texts referred to above\b)?", re.MULTILINE)
_PARAGRAPH = r"[^\n]*+\n?(?:[^\n]++\n?)*+"
_PACKAGING = re.compile(rf"^[ \t]*+The Debian packaging is\b{_PARAGRAPH}(?:\n++On Debian systems, {_PARAGRAPH})?", re.MULTILINE)
_COMPILED = re.compile(r".*\.(?:so|dylib|dll|pyd)(?:[.\d*]*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Part:
    """From character `start` to `end` of the file, `text` speaks for the files that match `patterns` (as in DEP-5) and for all in
    the folders that match."""

    start: int
    end: int
    text: str
    patterns: tuple[str, ...]

    @property
    def is_compiled(self) -> bool:
        """Whether all its files are compiled libraries, which are never read."""
        return all(_COMPILED.fullmatch(pattern.removesuffix("/*")) for pattern in self.patterns)


def parts_of(text: str) -> list[Part]:
    """The parts of the licence file `text` that name their files, in order. Linear in its length."""
    heads = list(_HEAD.finditer(text))
    if len(heads) > MOST_PARTS:
        return []
    if not heads:
        return [Part(found.start(), found.end(), found[0], ("debian/*",)) for found in _PACKAGING.finditer(text)]
    ends = [*(head.start() for head in heads[1:]), len(text)]
    return [_part(text, head, end) for head, end in zip(heads, ends, strict=True)]


def _part(text: str, head: re.Match[str], end: int) -> Part:
    rules = (rule for rule in _RULE.finditer(text, head.end(), end) if len(rule[1]) <= len(head["indent"]))
    rule = next(rules, None)
    if rule is not None and not rule["referred"]:
        end = rule.start()
    named = head["files"].replace(",", " ").split()
    patterns = tuple(pattern for name in named for pattern in (name, f"{name.rstrip('/')}/*"))
    return Part(head.start(), end, text[head.start() : end], patterns)


def without(text: str, parts: list[Part]) -> str:
    """`text` without `parts`: what speaks for all files."""
    edges = [0, *(edge for part in parts for edge in (part.start, part.end)), len(text)]
    return "\n".join(text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True))
