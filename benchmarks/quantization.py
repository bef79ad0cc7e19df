"""What each format of weights costs in quality: bits per byte, KL divergence and lines filled in exactly, on held-out text.

    python benchmarks/quantization.py --data DATA [--model DIR|GGUF] [--tokens 20000] [--calibrate DIR] [--llama PEERS/llama]
        [--record quantization]

DATA is what `starloom data build` wrote; only its validation documents are scored, left to right, in windows of the model's
positions. Weights are written by `starloom quantize`'s code, read back by the GGUF reader and dequantised, and the PyTorch model
judges them in float32: activations are exact, so that only the weights' rounding is seen. Lines are filled in by the engine.
Plain Q4_0 is the `gguf` package's rounding; llama.cpp's files are its own quantiser's, with and without an importance matrix from
the same calibration texts. KL is against the model as given.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pyarrow.parquet as pq
import record
import torch
from gguf import GGMLQuantizationType, LlamaFileType
from numpy.typing import NDArray
from peers.llama_quantize import llama_files

from starloom.contract import Contract, embedded_model
from starloom.contract.gguf_model import ARCHITECTURE, add_metadata, gguf_name
from starloom.core.errors import InputError, StarloomError
from starloom.core.files import sha256_of
from starloom.core.progress import bar
from starloom.engine import Engine
from starloom.engine.calibration_texts import calibration_texts
from starloom.engine.quantize import TARGETS, quantize
from starloom.evaluate import Example, examples
from starloom.model import StarCoder2

LINE_TOKENS = 32


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
    found, texts = {}, list[list[int]]()
    for name in (name for name in TARGETS if name != "f32"):
        quantize(arguments.model, folder / f"{name}.gguf", name)
        found[name] = folder / f"{name}.gguf"
    if arguments.calibrate:
        texts = calibration_texts(arguments.calibrate, contract, num_tokens=arguments.calibration_tokens)
        for name in ("q4", "q4_1"):
            quantize(arguments.model, folder / f"{name}-calibrated.gguf", name, texts)
            found[f"{name}, calibrated"] = folder / f"{name}-calibrated.gguf"
    write_plain(truth, contract, folder / "plain.gguf")
    found |= {"plain Q4_0": folder / "plain.gguf"}
    if arguments.llama:
        quantize(arguments.model, folder / "f32.gguf", "f32")
        (folder / "llama").mkdir()
        known = [contract.tokenizer.decode(text) for text in texts] if arguments.calibrate else []
        found |= llama_files(arguments.llama / "bin", folder / "f32.gguf", folder / "llama", known)
    return found


def lines_filled_in(path: Path, asked: list[Example]) -> int:
    """How many of the lines' ends the engine writes exactly with the suffix in view, as `starloom complete` asks for them."""
    with Engine.open(path) as engine:
        return sum(_first_line(engine, example) == example.middle for example in asked)


def _first_line(engine: Engine, example: Example) -> str:
    prompt = engine.prompt_for(example.prefix, example.suffix, LINE_TOKENS)
    return engine.generate(prompt, max_tokens=LINE_TOKENS, stop_texts=["\n"]).text


def documents(data: Path) -> list[tuple[str, str, str]]:
    """Repository, path and text of the validation documents."""
    files = sorted((data / "documents").glob("validation-*.parquet"))
    rows = [row for file in files for row in pq.read_table(file, columns=["repository", "path", "text"]).to_pylist()]
    return [(row["repository"], row["path"], row["text"]) for row in rows]


def weight_bytes(path: Path) -> int:
    return sum(tensor.n_bytes for tensor in gguf.GGUFReader(path).tensors)


def table(results: dict[str, dict[str, float]], lines: int) -> str:
    rows = [
        [
            name,
            f"{row['bytes']:,.0f}",
            f"{row['perplexity']:.3f}",
            f"{row['bits_per_byte']:.4f}",
            f"{row['mean_kl']:.5f} ± {row['kl_standard_error']:.5f}",
            f"{row['same_top_token']:.2%}",
            f"{row['lines']:.0f}",
        ]
        for name, row in results.items()
    ]
    columns = ["weights", "bytes of weights", "perplexity", "bits per byte", "mean KL (nats)", "same top token"]
    return record.table([*columns, f"exact of {lines} line ends"], rows)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=None, help="default: the embedded model")
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--calibrate", type=Path, default=None, help="a folder of texts that are not in the validation documents")
    parser.add_argument("--calibration-tokens", type=int, default=16_384)
    parser.add_argument("--lines", type=int, default=200, help="line ends to fill in")
    parser.add_argument("--llama", type=Path, default=None, help="where build_llama.py has built llama.cpp")
    parser.add_argument("--record", help="write records/DATE-NAME.json and .md")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    known = record.facts()
    arguments.model = arguments.model or embedded_model()
    contract, truth = Contract.of(arguments.model), StarCoder2.open(arguments.model, torch.float32).eval()
    windows = held_out(arguments.data, contract, truth.config.max_position_embeddings, arguments.tokens)
    asked = examples(documents(arguments.data), kind="line_end", count=arguments.lines)
    with tempfile.TemporaryDirectory() as folder:
        files = candidates(arguments, contract, truth, Path(folder))
        results = compare(truth, files, windows)
        with bar("filling in", len(files) + 1) as progress:
            for name, path in {"as given": arguments.model, **files}.items():
                results[name]["bytes"] = weight_bytes(path)
                results[name]["lines"] = lines_filled_in(path, asked)
                progress.advance()
    tokens = sum(len(window.ids) - 1 for window in windows)
    note = f"{tokens:,} tokens of {len(windows)} held-out files; {arguments.model.name}, sha256 {sha256_of(arguments.model)[:8]}."
    text = record.heading("What each format of weights costs", known, note) + "\n" + table(results, len(asked))
    record.write(arguments.record, {"facts": known, "results": results}, text)


if __name__ == "__main__":
    try:
        main()
    except (StarloomError, OSError, RuntimeError) as error:
        sys.exit(f"quantization: {error}")
