"""Texts to calibrate on: files of a folder as a model reads them, half of them as fill-in, in pieces of a few hundred tokens.

The choice is by a seed alone: the same folder gives the same texts. Knows nothing of what is measured with them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from starloom.contract import Contract, layouts
from starloom.core.errors import InputError

_LARGEST = 1 << 20  # bytes of a file that are read at most


def calibration_texts(
    folder: Path, contract: Contract, *, num_tokens: int = 16_384, length: int = 512, seed: int = 0
) -> list[list[int]]:
    """About `num_tokens` ids in texts of at most `length`, from the text files under `folder`.

    Raises `InputError` when there is no folder or no text in it.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder '{folder}' with texts to calibrate on")
    draw, found = random.Random(seed), list[list[int]]()
    for text in _texts(folder, draw):
        ids = contract.tokenizer.encode(text, unknown="replace")[: 4 * length]
        if len(ids) < 16:
            continue
        start = draw.randrange(max(1, len(ids) - length + 8))
        found.append(_laid_out(ids[start : start + length - 8], contract, draw))
        if sum(map(len, found)) >= num_tokens:
            break
    if not found:
        raise InputError(f"'{folder}' holds no text files of 16 tokens or more to calibrate on")
    return found


def _laid_out(ids: list[int], contract: Contract, draw: random.Random) -> list[int]:
    """Left to right, or with a middle of random size taken out and put where the model fills it in."""
    if draw.random() < 0.5 or len(ids) < 3:
        return [contract.marks.file_sep, *ids]
    first, last = sorted(draw.sample(range(1, len(ids)), 2))
    return layouts.fill_in(contract.marks, ids[:first], ids[first:last], ids[last:], contract.order)


def _texts(folder: Path, draw: random.Random) -> Iterator[str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    draw.shuffle(files)
    for file in files:
        with file.open("rb") as stream:
            data = stream.read(_LARGEST)
        if b"\0" not in data:
            yield data.decode(errors="ignore")
