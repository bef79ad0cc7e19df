"""What each format of weights costs in quality: perplexity, bits per byte and KL divergence on held-out text.

    python benchmarks/quantization.py --data DATA [--model DIR|GGUF] [--tokens 20000] [--calibrate DIR] [--also NAME=GGUF ...]

DATA is what `starloom data build` wrote; only its validation documents are scored, left to right, in windows of the model's
positions. Weights are written by `starloom quantize`'s code, read back by the GGUF reader and dequantised, and the PyTorch model
judges them in float32: activations are exact, so that only the weights' rounding is seen. Plain Q4_0 is the `gguf` package's
rounding; files of other programs (llama.cpp's `llama-quantize`, say) are added with --also. KL is against the model as given.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pyarrow.parquet as pq
import torch
from gguf import GGMLQuantizationType, LlamaFileType
from numpy.typing import NDArray

from starloom.contract import Contract, embedded_model
from starloom.contract.gguf_model import ARCHITECTURE, add_metadata, gguf_name
from starloom.core.errors import InputError, StarloomError
from starloom.core.files import write_text
from starloom.core.progress import bar
from starloom.engine.calibration_texts import calibration_texts
from starloom.engine.quantize import TARGETS, quantize
from starloom.model import StarCoder2


@dataclass(frozen=True)
class Window:
    """Ids to score, the first of them unscored, and how many bytes of text the others stand for."""

    ids: list[int]
    num_bytes: int


def held_out(data: Path, contract: Contract, length: int, num_tokens: int) -> list[Window]:
    """The beginnings of validation documents, at most `length` ids each."""
    files = sorted((data / "documents").glob("validation-*.parquet"))
    if not files:
        raise InputError(f"there are no documents/validation-*.parquet in '{data}': name a folder `starloom data build` wrote")
    found, count = [], 0
    for file in files:
        for text in pq.read_table(file, columns=["text"]).column("text").to_pylist():
            ids = contract.tokenizer.encode(text, unknown="replace")[: length - 1]
            if len(ids) < 64:
                continue
            found.append(Window([contract.marks.file_sep, *ids], len(contract.tokenizer.decode_bytes(ids))))
            count += len(ids)
            if count >= num_tokens:
                return found
    return found


@torch.no_grad()
def log_probabilities(model: StarCoder2, window: Window) -> torch.Tensor:
    """[T - 1, V] of each next token."""
    return torch.log_softmax(model(torch.tensor([window.ids[:-1]]))[0].double(), dim=-1)


class Tally:
    """Sums over all scored tokens of one format."""

    def __init__(self) -> None:
        self.loss = self.divergence = 0.0
        self.same = self.count = 0
        self._each = list[float]()

    def add(self, ours: torch.Tensor, theirs: torch.Tensor, window: Window) -> None:
        """Count one window: log-probabilities of the format and of the model as given."""
        divergence = (theirs.exp() * (theirs - ours)).sum(-1)
        self.loss -= ours.gather(1, torch.tensor(window.ids[1:])[:, None]).sum().item()
        self.divergence += divergence.sum().item()
        self.same += int((ours.argmax(-1) == theirs.argmax(-1)).sum().item())
        self.count += len(ours)
        self._each.append(divergence.mean().item())

    def results(self, num_bytes: int) -> dict[str, float]:
        """Means: perplexity, bits per byte, KL(as given || format) in nats, how often the likeliest token is the same."""
        return {
            "perplexity": math.exp(self.loss / self.count),
            "bits_per_byte": self.loss / math.log(2) / num_bytes,
            "mean_kl": self.divergence / self.count,
            "kl_standard_error": float(np.std(self._each) / math.sqrt(len(self._each))),
            "same_top_token": self.same / self.count,
        }


def compare(truth: StarCoder2, files: dict[str, Path], windows: list[Window]) -> dict[str, dict[str, float]]:
    """Score the model as given and every file; all of them are held at once."""
    models = {name: StarCoder2.open(path, torch.float32).eval() for name, path in files.items()}
    tallies = {name: Tally() for name in ("as given", *models)}
    with bar("scoring", len(windows)) as progress:
        for window in windows:
            theirs = log_probabilities(truth, window)
            tallies["as given"].add(theirs, theirs, window)
            for name, model in models.items():
                tallies[name].add(log_probabilities(model, window), theirs, window)
            progress.advance()
    num_bytes = sum(window.num_bytes for window in windows)
    return {name: tally.results(num_bytes) for name, tally in tallies.items()}


def write_plain(model: StarCoder2, contract: Contract, path: Path) -> None:
    """Q4_0 as the `gguf` package rounds, with Q8_0 for embedding and head: the size of our "q4"."""
    writer = gguf.GGUFWriter(path, ARCHITECTURE)
    add_metadata(writer, model.config, contract, LlamaFileType.MOSTLY_Q4_0)
    for name, tensor in model.state_dict().items():
        outer = "embed_tokens" in name or "lm_head" in name
        kind = (
            GGMLQuantizationType.Q8_0 if outer else GGMLQuantizationType.Q4_0 if tensor.dim() == 2 else GGMLQuantizationType.F32
        )
        raw: NDArray[Any] = gguf.quantize(tensor.float().numpy(), kind)
        writer.add_tensor(gguf_name(name), raw, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def candidates(arguments: argparse.Namespace, contract: Contract, truth: StarCoder2, folder: Path) -> dict[str, Path]:
    """A file for each format, written into `folder`."""
    found = {}
    for name in (name for name in TARGETS if name != "f32"):
        quantize(arguments.model, folder / f"{name}.gguf", name)
        found[name] = folder / f"{name}.gguf"
    if arguments.calibrate:
        texts = calibration_texts(arguments.calibrate, contract, num_tokens=arguments.calibration_tokens)
        for name in ("q4", "q4_1"):
            quantize(arguments.model, folder / f"{name}-calibrated.gguf", name, texts)
            found[f"{name}, calibrated"] = folder / f"{name}-calibrated.gguf"
    write_plain(truth, contract, folder / "plain.gguf")
    return found | {"plain Q4_0": folder / "plain.gguf"} | dict(arguments.also)


def weight_bytes(path: Path) -> int:
    return sum(tensor.n_bytes for tensor in gguf.GGUFReader(path).tensors)


def table(results: dict[str, dict[str, float]]) -> str:
    lines = [
        "| weights | bytes of weights | perplexity | bits per byte | mean KL (nats) | same top token |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, row in results.items():
        kl = f"{row['mean_kl']:.5f} ± {row['kl_standard_error']:.5f}"
        lines.append(
            f"| {name} | {row['bytes']:,.0f} | {row['perplexity']:.3f} | {row['bits_per_byte']:.4f} | {kl} "
            f"| {row['same_top_token']:.2%} |"
        )
    return "\n".join(lines) + "\n"


def named_file(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"'{text}' is not of the form NAME=FILE.gguf")
    return name, Path(path)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=None, help="default: the embedded model")
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--calibrate", type=Path, default=None, help="a folder of texts that are not in the validation documents")
    parser.add_argument("--calibration-tokens", type=int, default=16_384)
    parser.add_argument("--also", type=named_file, action="append", default=[], metavar="NAME=FILE.gguf")
    parser.add_argument("--out", type=Path, default=None, help="a JSON file for the results")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    arguments.model = arguments.model or embedded_model()
    contract, truth = Contract.of(arguments.model), StarCoder2.open(arguments.model, torch.float32).eval()
    windows = held_out(arguments.data, contract, truth.config.max_position_embeddings, arguments.tokens)
    with tempfile.TemporaryDirectory() as folder:
        files = candidates(arguments, contract, truth, Path(folder))
        results = compare(truth, files, windows)
        for name, path in files.items():
            results[name]["bytes"] = weight_bytes(path)
    given = arguments.model
    results["as given"]["bytes"] = weight_bytes(given) if given.is_file() else 4 * truth.config.num_parameters
    print(f"{sum(len(window.ids) - 1 for window in windows):,} tokens of {len(windows)} held-out files\n")
    print(table(results))
    if arguments.out:
        write_text(arguments.out, json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    try:
        main()
    except StarloomError as error:
        sys.exit(f"quantization: {error}")
