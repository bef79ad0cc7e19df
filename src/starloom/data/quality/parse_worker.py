"""The process in which texts are parsed for `parse`: grammars are C code that crashes, hangs or eats all memory on some texts.

Reads requests from standard input and answers each with 8 bytes, until the input ends. A text that takes too much processor time
or memory ends the process; that is its answer. Run as `python -m starloom.data.quality.parse_worker SECONDS`.
"""

from __future__ import annotations

import contextlib
import signal
import struct
import sys
from functools import cache
from typing import TYPE_CHECKING, BinaryIO

from starloom.core.errors import require

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

REQUEST = struct.Struct("<II")
"""Before each request: bytes of the grammar's name, bytes of the text; both follow."""

ANSWER = struct.Struct("<d")
"""The share of bytes in errors; NaN when the parser did not come to an end."""

MAX_STEPS = 50_000
"""So many hundreds of the parser's operations at most; ordinary code takes about one for 30 bytes."""

MAX_MEMORY = 2**30
"""Bytes of address space."""

_CHUNK_BYTES = 64 * 1024


def error_share(data: bytes, grammar: str) -> float | None:
    """The share of bytes in syntax errors; None when there are more steps to do than allowed."""
    root = _parse(_parser(grammar), data)
    if root is None:
        return None
    return min(_error_bytes(root) / len(data), 1.0) if data else 0.0


@cache
def _parser(grammar: str) -> Parser:
    parser: Parser = require("tree_sitter_language_pack", "data").get_parser(grammar)
    return parser


def _parse(parser: Parser, data: bytes) -> Node | None:
    steps = 0

    def enough(_offset: int, _has_error: bool) -> bool:
        nonlocal steps
        steps += 1
        return steps > MAX_STEPS

    parser.reset()
    try:
        tree = parser.parse(lambda offset, _: data[offset : offset + _CHUNK_BYTES], progress_callback=enough)
    except ValueError:  # what the binding makes of a parse that was stopped
        return None
    return None if tree is None else tree.root_node


def _error_bytes(root: Node) -> int:
    """Bytes of the outermost error nodes, and one for each missing token; only into branches that have any."""
    total = 0
    stack = [root] if root.has_error else []
    while stack:
        node = stack.pop()
        if node.is_missing:
            total += 1
        elif node.is_error:
            total += node.end_byte - node.start_byte
        else:
            stack += [child for child in node.children if child.has_error]
    return total


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):  # Windows has no such limit, macOS not always
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))


def _limit_time(seconds: float) -> None:
    """Let the system end this process after so much processor time; 0 takes the limit away."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _serve(requests: BinaryIO, answers: BinaryIO, max_seconds: float) -> None:
    while len(head := requests.read(REQUEST.size)) == REQUEST.size:
        name_bytes, text_bytes = REQUEST.unpack(head)
        grammar, data = requests.read(name_bytes).decode(), requests.read(text_bytes)
        _limit_time(max_seconds)
        share = error_share(data, grammar)
        _limit_time(0)
        answers.write(ANSWER.pack(float("nan") if share is None else share))
        answers.flush()


if __name__ == "__main__":
    _limit_memory()
    _serve(sys.stdin.buffer, sys.stdout.buffer, float(sys.argv[1]))
