"""The engine's logits beside the PyTorch model's in float32, on the same (dequantised) weights, over held-out text.

    python benchmarks/engine_quality.py --data DATA [--record engine-quality]

DATA is made as `quantization.py` says. For each kind of weights the embedded model is packed, its packed values are given to the
PyTorch model, and both read the same texts: what differs is the engine's arithmetic alone (8-bit activations, bf16 keys and
values), not rounded weights. A text is twice as long as the sliding window, and the engine reads it in pieces and gives back
the pages that the window has passed. Positions that see all of the text ("within") are told apart from the others ("beyond").
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import record
import torch
from numpy.typing import NDArray

from starloom.contract import Contract, embedded_model
from starloom.contract.shards import Shards
from starloom.engine.core import PAGE, Part
from starloom.engine.native_core import NativeCore
from starloom.engine.packed import pack_in_memory
from starloom.engine.sources import open_source

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "engine"))
from packed_models import with_weights_of

KINDS = ("f32", "bf16", "q8", "q4", "q4m")
PIECE = 512  # tokens read in one step; divides the sliding window


class Tally:
    """Sums over the positions of both logits."""

    def __init__(self) -> None:
        self.divergence = self.error = self.power = 0.0
        self.same = self.count = 0

    def add(self, ours: torch.Tensor, theirs: torch.Tensor) -> None:
        """Count the logits [T, V] of some positions."""
        ours, theirs = ours.double(), theirs.double()
        right = theirs.log_softmax(-1)
        self.divergence += float((right.exp() * (right - ours.log_softmax(-1))).sum())
        centred = theirs - theirs.mean(-1, keepdim=True)
        self.error += float(((ours - ours.mean(-1, keepdim=True) - centred) ** 2).sum())
        self.power += float((centred**2).sum())
        self.same += int((ours.argmax(-1) == theirs.argmax(-1)).sum())
        self.count += len(ours)

    def results(self) -> dict[str, float]:
        """Mean KL divergence (nats), relative RMS error of centred logits, and how often both find the same token likeliest."""
        return {
            "kl": self.divergence / self.count,
            "rms": (self.error / self.power) ** 0.5,
            "same": self.same / self.count,
            "tokens": self.count,
        }


def compared(kind: str, texts: list[list[int]], threads: int) -> dict[str, dict[str, float]]:
    """What the tallies say of the positions within the sliding window, and of those beyond it."""
    model = pack_in_memory(open_source(embedded_model()), kind)  # type: ignore[arg-type]
    model = replace(model, config=replace(model.config, max_position_embeddings=len(texts[0])))
    core, truth = NativeCore(model, threads=threads, wide=kind == "f32"), with_weights_of(model)
    tallies = {"within": Tally(), "beyond": Tally()}
    for ids in texts:
        with torch.inference_mode():
            theirs = truth(torch.tensor([ids]))[0]
        for start in range(0, len(ids), PIECE):
            place = "within" if start < window_of(core) else "beyond"
            tallies[place].add(torch.from_numpy(read(core, ids, start)), theirs[start : start + PIECE])
    return {place: tally.results() for place, tally in tallies.items()}


def read(core: NativeCore, ids: list[int], start: int) -> NDArray[np.float32]:
    """The logits of the piece at `start`; the text's pages are those from 0 on, without what the window has passed."""
    piece = ids[start : start + PIECE]
    table = np.arange(-(-(start + len(piece)) // PAGE), dtype=np.int32)
    table[: max(0, start - window_of(core) + 1) // PAGE] = -1
    return core.step([Part(piece, start, table, num_logits=len(piece))])


def window_of(core: NativeCore) -> int:
    assert core.window, "the embedded model has a sliding window"
    return core.window


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder of `data build` with held-out tokens")
    parser.add_argument("--texts", type=int, default=20)
    parser.add_argument("--length", type=int, default=2048, help="tokens of a text")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--record", help="write a record of this name")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    shards = Shards.open(arguments.data / "tokens" / "validation", Contract.of(embedded_model()).tokenizer)
    stride = (len(shards) - arguments.length) // arguments.texts
    texts = [shards.read(place * stride, arguments.length).tolist() for place in range(arguments.texts)]
    known = record.facts()
    results = {kind: compared(kind, texts, arguments.threads) for kind in KINDS}
    rows = [
        [f"{kind}, {place}", f"{row['tokens']:,}", f"{row['kl']:.2e}", f"{row['rms']:.2e}", f"{row['same']:.2%}"]
        for kind, places in results.items()
        for place, row in places.items()
    ]
    note = f"{len(texts)} held-out texts of {arguments.length:,} tokens; the embedded model."
    columns = ["weights, positions", "tokens", "mean KL, nats", "relative RMS of logits", "same likeliest token"]
    title = "The engine's arithmetic beside float32"
    text = record.heading(title, known, note) + "\n" + record.table(columns, rows)
    record.write(arguments.record, {"facts": known, "texts": len(texts), "length": arguments.length, "kinds": results}, text)


if __name__ == "__main__":
    main()
