"""What each format of weights costs in quality: bits per byte, KL divergence and lines filled in exactly, on held-out text.

    cd benchmarks/embedded && sed 's/.*/^&==/' held-out.txt | grep -if - -e ^django== -e ^cartopy== packages.txt > NAMES
    mkdir PACKAGES && cp fetch.lock PACKAGES && cd ../..
    starloom data fetch NAMES --out PACKAGES
    starloom data build PACKAGES/*.whl --languages Python --tokenizer src/starloom/embedded/starloom-python-6m.gguf \
        --validation-list benchmarks/embedded/held-out.txt --out DATA
    python benchmarks/peers/build_llama.py LLAMA
    python benchmarks/quantization.py --data DATA --llama LLAMA --llama-python PYTHON --record quantization

Validation documents of DATA are scored, left to right, in stretches of whole lines, evenly over the held-out repositories.
Calibrated is on its training documents: other repositories, and no near copies. Weights are written by `starloom quantize`'s
code, read back by the GGUF reader and dequantised, and the PyTorch model judges them in float32: activations are exact, so that
only the weights' rounding is seen. Lines are filled in by the engine. Plain Q4_0 is the `gguf` package's rounding; llama.cpp's
files are its own quantiser's, with and without an importance matrix of the same texts. KL is against the model as given.
PYTHON is an interpreter that has llama-cpp-python (`peers/ask_llama.py`): it reads every file that we wrote.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gguf
import pyarrow.parquet as pq
import record
import torch
from gguf import GGMLQuantizationType, LlamaFileType
from numpy.typing import NDArray
from peers.llama_quantize import llama_files
from peers.llama_reading import FILL_IN, Reading, readings
from weight_scores import compare, held_out

from starloom.contract import Contract, embedded_model
from starloom.contract.gguf_model import ARCHITECTURE, add_metadata, gguf_name
from starloom.core.errors import InputError, StarloomError
from starloom.core.files import sha256_of
from starloom.core.progress import bar
from starloom.engine import Engine
from starloom.engine.calibration_texts import calibration_texts
from starloom.engine.native_core import NativeCore
from starloom.engine.packed import pack_in_memory
from starloom.engine.quantize import TARGETS, quantize
from starloom.engine.sources import open_source
from starloom.evaluate import Example, examples
from starloom.model import StarCoder2

LINE_TOKENS = 32
PROMPTS = 100  # asked of llama.cpp too
Documents = list[tuple[str, str, str]]


def documents(data: Path, part: str) -> Documents:
    """Repository, path and text of the documents of `part`."""
    files = sorted((data / "documents").glob(f"{part}-*.parquet"))
    if not files:
        raise InputError(f"there are no documents/{part}-*.parquet in '{data}': name a folder `starloom data build` wrote")
    rows = [row for file in files for row in pq.read_table(file, columns=["repository", "path", "text"]).to_pylist()]
    return [(row["repository"], row["path"], row["text"]) for row in rows]


def to_calibrate_on(known: Documents, contract: Contract, num_tokens: int) -> list[list[int]]:
    """As `starloom quantize --calibrate` takes them from a folder with these documents."""
    with tempfile.TemporaryDirectory() as folder:
        for place, (_, _, text) in enumerate(known):
            (Path(folder) / f"{place}.py").write_text(text)
        return calibration_texts(Path(folder), contract, num_tokens=num_tokens)


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


def candidates(model: Path, texts: list[list[int]], folder: Path) -> dict[str, Path]:
    """What `starloom quantize` writes into `folder`, by format."""
    calibrated = {f"{name}, calibrated": texts for name in ("q4", "q4_1")}
    found = {}
    for name, known in {**dict.fromkeys(TARGETS, ()), **calibrated}.items():
        found[name] = folder / f"{name.replace(', ', '-')}.gguf"
        quantize(model, found[name], name.partition(",")[0], known)
    return found


def peers(llama: Path | None, f32: Path, texts: list[str], folder: Path) -> dict[str, Path]:
    """What others round to in `folder`."""
    write_plain(StarCoder2.open(f32, torch.float32), Contract.of(f32), folder / "plain.gguf")
    return {"plain Q4_0": folder / "plain.gguf"} | (llama_files(llama / "bin", f32, folder, texts) if llama else {})


def opened(path: Path) -> Engine:
    """Without a file in the cache."""
    return Engine(NativeCore(pack_in_memory(open_source(path))), Contract.of(path))


def lines_filled_in(path: Path, asked: list[Example]) -> int:
    """How many of the lines' ends the engine writes exactly with the suffix in view, as `starloom complete` asks for them."""
    with opened(path) as engine:
        return sum(_first_line(engine, example) == example.middle for example in asked)


def _first_line(engine: Engine, example: Example) -> str:
    prompt = engine.prompt_for(example.prefix, example.suffix, LINE_TOKENS)
    return engine.generate(prompt, max_tokens=LINE_TOKENS, stop_texts=["\n"]).text


def weight_bytes(path: Path) -> int:
    return sum(tensor.n_bytes for tensor in gguf.GGUFReader(path).tensors)


def table(results: dict[str, dict[str, float]], lines: int) -> str:
    rows = [
        [
            name,
            f"{row['bytes']:,.0f}",
            f"{row['perplexity']:.3f}",
            f"{row['bits_per_byte']:.4f}",
            f"{row['loss_added']:+.4f} ± {row['loss_standard_error']:.4f}",
            f"{row['mean_kl']:.5f} ± {row['kl_standard_error']:.5f}",
            f"{row['same_top_token']:.2%}",
            f"{row['lines']:.0f}",
        ]
        for name, row in results.items()
    ]
    columns = ["weights", "bytes", "perplexity", "bits per byte", "loss added (nats)", "mean KL (nats)", "same top token"]
    return record.table([*columns, f"exact of {lines} line ends"], rows)


def readings_table(read: dict[str, Reading], count: int) -> str:
    rows = [
        [name, f"{row.fill_in} of {len(FILL_IN)}", f"{row.tokenised}", f"{row.completions}", f"{row.same_tokens:.2%}"]
        for name, row in read.items()
    ]
    columns = ["opened by llama.cpp", "fill-in ids", f"same tokens of {count} files", f"same text of {count}"]
    return f"\n\n{record.table([*columns, 'same tokens of these'], rows)}" if rows else ""


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=embedded_model(), help="default: the embedded model")
    parser.add_argument("--tokens", type=int, default=50_000)
    parser.add_argument("--calibration-tokens", type=int, default=16_384)
    parser.add_argument("--lines", type=int, default=200, help="line ends to fill in")
    parser.add_argument("--llama", type=Path, default=None, help="where build_llama.py has built llama.cpp")
    parser.add_argument("--llama-python", type=Path, default=None, help="an interpreter that has llama-cpp-python")
    parser.add_argument("--record", help="write records/DATE-NAME.json and .md")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    known, model = record.facts(), arguments.model
    contract, truth = Contract.of(model), StarCoder2.open(model, torch.float32).eval()
    validation = documents(arguments.data, "validation")
    scored = held_out(validation, contract, truth.config.max_position_embeddings, arguments.tokens)
    asked = examples(validation, kind="line_end", count=arguments.lines)
    texts = to_calibrate_on(documents(arguments.data, "train"), contract, arguments.calibration_tokens)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours = candidates(model, texts, folder)
        files = ours | peers(arguments.llama, ours["f32"], list(map(contract.tokenizer.decode, texts)), folder)
        results = compare(truth, files, scored)
        with bar("filling in", len(files) + 1) as progress:
            for name, path in {"as given": model, **files}.items():
                results[name] |= {"bytes": weight_bytes(path), "lines": lines_filled_in(path, asked)}
                progress.advance()
        python = arguments.llama_python
        both = asked[:PROMPTS]
        read = readings(python, ours, opened, both, contract) if python else {}
    tokens = sum(len(window.ids) - 1 for window in scored)
    note = f"{tokens:,} tokens of {len(scored)} held-out files; {model.name}, sha256 {sha256_of(model)[:8]}."
    text = record.heading("What each format of weights costs", known, note) + "\n" + table(results, len(asked))
    told = {name: asdict(reading) for name, reading in read.items()}
    record.write(
        arguments.record, {"facts": known, "results": results, "llama.cpp": told}, text + readings_table(read, len(both))
    )


if __name__ == "__main__":
    try:
        main()
    except (StarloomError, OSError, RuntimeError) as error:
        sys.exit(f"quantization: {error}")
