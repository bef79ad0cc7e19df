"""Whether a text parses: the share of its bytes that tree-sitter finds no place for. A flag, not a reason to drop.

Grammars misjudge (macros in C, templates, dialects of SQL), so the share is a column to look at; 0 means "no error". Parsing is
done in a process of its own (`parse_worker`) with limits on steps, time and memory: a text that crashes a grammar costs no more.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from functools import cache
from importlib.resources import files
from types import TracebackType
from typing import Self

from starloom.core.errors import require
from starloom.data.quality.parse_worker import ANSWER, REQUEST

MAX_PARSE_BYTES = 512 * 1024
"""Longer texts are not parsed."""


@cache
def grammars() -> dict[str, str]:
    """The grammar of each language that has one, by Linguist's name."""
    table: dict[str, str]
    table = json.loads(files("starloom.data.quality").joinpath("grammars.json").read_text(encoding="utf-8"))["grammars"]
    return table


class ParseChecker:
    """Context manager: parses texts one by one, each for at most `max_seconds` of processor time. For one thread at a time.

    Steps, which do not depend on the machine, are limited first; time is for grammars that stay within one step for ever.
    Raises `MissingExtraError` when the grammars are not installed.
    """

    def __init__(self, max_seconds: float = 10.0) -> None:
        self._max_seconds = max_seconds
        require("tree_sitter_language_pack", "data")
        self._worker: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end()

    def error_share(self, text: str, language: str) -> float | None:
        """The share of the text's bytes inside syntax errors: 0 when it parses, 1 when nothing does.

        What is missing (a closing bracket, say) counts as one byte. None when there is no grammar for the language, the text
        has more than 512 KiB, or its parsing did not end within the limits of `parse_worker`.
        """
        grammar = grammars().get(language)
        data = text.encode(errors="replace")
        if grammar is None or len(data) > MAX_PARSE_BYTES:
            return None
        answer = self._ask(grammar.encode(), data)
        if len(answer) < ANSWER.size:
            self._end()
            return None
        share: float = ANSWER.unpack(answer)[0]
        return None if math.isnan(share) else share

    def _ask(self, grammar: bytes, data: bytes) -> bytes:
        """The worker's answer; nothing when it died of the question."""
        worker = self._worker or self._begin()
        assert worker.stdin is not None
        assert worker.stdout is not None
        try:
            worker.stdin.write(REQUEST.pack(len(grammar), len(data)) + grammar + data)
            worker.stdin.flush()
        except BrokenPipeError:
            return b""
        return worker.stdout.read(ANSWER.size)

    def _begin(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "starloom.data.quality.parse_worker", str(self._max_seconds)]
        self._worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return self._worker

    def _end(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            with self._worker:
                self._worker = None
