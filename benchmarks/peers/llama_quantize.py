"""A model in llama.cpp's formats, written by its own quantiser, as peers of ours: with and without an importance matrix."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

FORMATS = {
    "Q4_0, embedding Q8_0": ("Q4_0", ("--token-embedding-type", "q8_0")),
    "Q4_1, embedding Q8_0": ("Q4_1", ("--token-embedding-type", "q8_0")),
    "Q4_K_M": ("Q4_K_M", ()),
    "Q5_K_M": ("Q5_K_M", ()),
    "Q6_K": ("Q6_K", ()),
}
PIECE = 512  # tokens that the importance matrix is made from at once


def llama_files(tools: Path, source: Path, out: Path, texts: Sequence[str]) -> dict[str, Path]:
    """Files in `out` by name, from the float32 GGUF file `source`; with `texts`, each a second time with their importance."""
    matrices: dict[str, tuple[str, ...]] = {"": ()}
    if texts:
        matrices[", importance"] = ("--imatrix", str(_importance(tools, source, out, texts)))
    found = {}
    for ending, matrix in matrices.items():
        for name, (format_, options) in FORMATS.items():
            path = out / f"{len(found)}.gguf"
            _run([tools / "llama-quantize", *matrix, *options, source, path, format_])
            found[f"llama.cpp {name}{ending}"] = path
    return found


def _importance(tools: Path, source: Path, out: Path, texts: Sequence[str]) -> Path:
    """What llama-imatrix makes of the texts, one after the other."""
    (out / "texts.txt").write_text("".join(texts))
    words = ("-f", out / "texts.txt", "-o", out / "importance.gguf", "-c", str(PIECE), "-t", "2")
    _run([tools / "llama-imatrix", "-m", source, *words])
    return out / "importance.gguf"


def _run(words: Sequence[str | Path]) -> None:
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise RuntimeError(f"{Path(words[0]).name} failed: {done.stderr.strip().splitlines()[-1:]}")
