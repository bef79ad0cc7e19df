"""The engine's logits beside the PyTorch model's in float32, on the same (dequantised) weights, over held-out text.

    python benchmarks/engine_quality.py --data DATA [--record engine-quality]

For each kind of weights the embedded model is packed, its packed values are given to the PyTorch model, and both read the
same windows: what differs is the engine's arithmetic alone (8-bit activations, bf16 keys and values), not rounded weights.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import record
import torch

from starloom.contract import Contract, embedded_model
from starloom.contract.shards import Shards
from starloom.engine.core import PAGE, Part
from starloom.engine.native_core import NativeCore
from starloom.engine.packed import pack_in_memory
from starloom.engine.sources import open_source

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "engine"))
from packed_models import with_weights_of

KINDS = ("f32", "bf16", "q8", "q4")


def compared(kind: str, windows: list[list[int]], threads: int) -> dict[str, float]:
    """Mean KL divergence (nats), relative RMS error of centred logits, and how often both find the same token likeliest."""
    model = pack_in_memory(open_source(embedded_model()), kind)  # type: ignore[arg-type]
    core, truth = NativeCore(model, threads=threads, wide=kind == "f32"), with_weights_of(model)
    divergence, error, power, same, count = 0.0, 0.0, 0.0, 0, 0
    table = np.arange(-(-len(windows[0]) // PAGE), dtype=np.int32)
    for ids in windows:
        ours = torch.from_numpy(core.step([Part(ids, 0, table, num_logits=len(ids))])).double()
        with torch.inference_mode():
            theirs = truth(torch.tensor([ids]))[0].double()
        right = theirs.log_softmax(-1)
        divergence += float((right.exp() * (right - ours.log_softmax(-1))).sum())
        centred = theirs - theirs.mean(-1, keepdim=True)
        error += float(((ours - ours.mean(-1, keepdim=True) - centred) ** 2).sum())
        power += float((centred**2).sum())
        same += int((ours.argmax(-1) == theirs.argmax(-1)).sum())
        count += len(ids)
    return {"kl": divergence / count, "rms": (error / power) ** 0.5, "same": same / count, "tokens": count}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder of `data build` with held-out tokens")
    parser.add_argument("--tokens", type=int, default=20_480)
    parser.add_argument("--window", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--record", help="write a record of this name")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    shards = Shards.open(arguments.data / "tokens" / "validation", Contract.of(embedded_model()).tokenizer)
    count = -(-arguments.tokens // arguments.window)
    stride = (len(shards) - arguments.window) // count
    windows = [shards.read(place * stride, arguments.window).tolist() for place in range(count)]
    known = record.facts()
    results = {kind: compared(kind, windows, arguments.threads) for kind in KINDS}
    rows = [[kind, f"{row['kl']:.2e}", f"{row['rms']:.2e}", f"{row['same']:.2%}"] for kind, row in results.items()]
    note = f"{count * arguments.window:,} held-out tokens in windows of {arguments.window:,}; the embedded model."
    columns = ["weights", "mean KL, nats", "relative RMS of logits", "same likeliest token"]
    title = "The engine's arithmetic beside float32"
    text = record.heading(title, known, note) + "\n" + record.table(columns, rows)
    record.write(arguments.record, {"facts": known, "windows": count, "window": arguments.window, "kinds": results}, text)


if __name__ == "__main__":
    main()
