"""Stretches of held-out text to measure bits per byte on: the same bytes for every model, whatever its tokens are.

Bits per byte of a model are its bits for all bytes of all windows, divided by their number. Knows nothing of models.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from random import Random

from starloom.core.errors import SettingsError
from starloom.evaluate.documents import Document, balanced


def windows(documents: Iterable[tuple[str, str, str]], *, num_bytes: int, seed: int = 0) -> Iterator[bytes]:
    """One window a document: whole lines, at most `num_bytes`, from a random line on; evenly over repositories.

    Documents and single lines that are too short or too long give none. Deterministic, as `balanced` is.
    """
    if num_bytes < 1:
        raise SettingsError(f"num_bytes is {num_bytes}; it must be at least 1")
    return balanced(documents, lambda document, random: _of_document(document, num_bytes, random), seed=f"{seed} windows")


def _of_document(document: Document, num_bytes: int, random: Random) -> Iterator[bytes]:
    text = document.text.encode()
    if len(text) < num_bytes:
        return
    starts = [0, *(found.end() for found in re.finditer(b"\n", text[: len(text) - num_bytes]))]
    start = random.choice(starts)
    end = text.rfind(b"\n", start, start + num_bytes) + 1
    if end > start:
        yield text[start:end]
