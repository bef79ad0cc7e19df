"""The embedded model on held-out files: single lines, and bits per byte, beside SmolLM2-135M on the very same text.

    python benchmarks/embedded_model.py --data DATA [--model DIR|GGUF] [--count 300] [--out FILE.json] [--card FILE.md]

DATA is what `starloom data build` wrote; only its validation documents are read. Each kind of example is asked of every
system (`completion_systems.py`): SPM, PSM and left to right with our model, left to right with SmolLM2 (`smollm2.py` says how
to install it). All draw greedily; left-to-right systems stop at a line end, fill-in ones by themselves.
`--answers FILE.jsonl` keeps every answer, so that a killed run goes on, and a later model need not ask SmolLM2 again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import smollm2
import torch
from completion_systems import KeptAnswers, Ours, ours_by_name, peer_by_name
from smollm2 import SmolLM2

from starloom import __version__
from starloom.contract import embedded_model
from starloom.core.errors import InputError, StarloomError
from starloom.core.files import sha256_of, write_text
from starloom.core.progress import bar
from starloom.evaluate import Example, Generator, Outcome, examples, outcomes, windows
from starloom.evaluate.infilling import KINDS, Kind
from starloom.evaluate.report import comparisons_table, record, systems_table, table
from starloom.evaluate.samples import samples

Documents = list[tuple[str, str, str]]
Results = dict[str, dict[Kind, list[Outcome]]]
SHOWN = ("Starloom, SPM", "Starloom, SPM + healing", "Starloom, left to right + healing", "SmolLM2, left to right + healing")


def held_out(data: Path) -> Documents:
    """The Python files among the validation documents."""
    files = sorted((data / "documents").glob("validation-*.parquet"))
    if not files:
        raise InputError(
            f"there are no documents/validation-*.parquet in '{data}': name a folder that `starloom data build` wrote"
        )
    rows = [row for file in files for row in pq.read_table(file, columns=["repository", "path", "text"]).to_pylist()]
    return [(row["repository"], row["path"], row["text"]) for row in rows if row["path"].endswith(".py")]


def ask(asked: dict[Kind, list[Example]], systems: dict[str, Generator]) -> Results:
    results: Results = {}
    with bar("completing", sum(map(len, asked.values())) * len(systems)) as progress:
        for name, generator in systems.items():
            results[name] = {kind: [] for kind in asked}
            progress.say(name)
            for kind, found in asked.items():
                for outcome in outcomes(found, generator):
                    results[name][kind].append(outcome)
                    progress.advance()
    return results


def bits_per_byte(ours: Ours, peer: SmolLM2 | None, documents: Documents, arguments: argparse.Namespace) -> dict[str, Any]:
    """Left to right on the same windows: those that fit into the length our model was trained on."""
    most = min(arguments.window_tokens, ours.model.config.max_position_embeddings - 1)
    encode = ours.contract.tokenizer.encode
    drawn = windows(documents, num_bytes=arguments.window_bytes, seed=arguments.seed)
    texts = list(islice((text for text in drawn if len(encode(text)) <= most), arguments.windows))
    if not texts:
        raise InputError(f"no window of {arguments.window_bytes} bytes fits into {most} tokens: ask for fewer bytes")
    models = {"Starloom": ours.bits} | ({"SmolLM2": peer.bits} if peer else {})
    num_bytes = sum(map(len, texts))
    return {
        "windows": len(texts),
        "bytes": num_bytes,
        "most_bytes": arguments.window_bytes,
        "most_tokens": most,
        "models": {name: _bits(name, measure, texts) / num_bytes for name, measure in models.items()},
    }


def _bits(name: str, measure: Callable[[bytes], float], texts: Sequence[bytes]) -> float:
    total = 0.0
    with bar(f"bits per byte, {name}", len(texts)) as progress:
        for text in texts:
            total += measure(text)
            progress.advance()
    return total


def settings(ours: Ours, peer: SmolLM2 | None, arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "starloom": __version__,
        "torch": torch.__version__,
        "model": {
            "name": ours.path.name,
            "sha256": ours.fingerprint(),
            "parameters": sum(parameter.numel() for parameter in ours.model.parameters()),
            "vocabulary": ours.model.config.vocab_size,
            "context": ours.context,
        },
        "peer": peer and {"name": smollm2.NAME, "sha256": sha256_of(peer.path), "context": peer.context, "dtype": "float32"},
        "decoding": {"greedy": True, "max_tokens": ours.max_tokens},
        "count": arguments.count,
        "seed": arguments.seed,
    }


def described(found: list[Example]) -> dict[str, Any]:
    """What examples are like: where from, how long, and how many middles hold no letter or digit."""
    return {
        "count": len(found),
        "repositories": sorted({example.repository for example in found}),
        "files": len({(example.repository, example.path) for example in found}),
        "mean_characters": sum(len(example.middle.strip()) for example in found) / len(found),
        "without_letters_or_digits": sum(not any(map(str.isalnum, example.middle)) for example in found),
    }


def card(found: dict[str, Any], results: Results, seed: int) -> str:
    """The results for a reader, with a dozen examples drawn by chance."""
    bits = found["bits_per_byte"]
    everything = {name: [outcome for kind in KINDS for outcome in results[name][kind]] for name in SHOWN if name in results}
    return "\n".join(
        [
            f"## Single lines of held-out files\n\n{_introduction(found)}\n",
            systems_table(results),
            "Pairs on the same examples, with the exact two-sided p of McNemar's test:\n",
            comparisons_table(results),
            f"## Held-out bits per byte\n\nLeft to right, {bits['windows']} windows of up to {bits['most_bytes']:,} bytes.\n",
            table(["model", "bits a byte"], [[name, f"{value:.3f}"] for name, value in bits["models"].items()]),
            "## Examples, drawn by chance\n",
            samples(everything, count=12, seed=seed),
        ]
    )


def _introduction(found: dict[str, Any]) -> str:
    ours, peer = found["settings"]["model"], found["settings"]["peer"]
    lines, ends = found["examples"]["line"], found["examples"]["line_end"]
    sentences = [
        f"{lines['count']} whole lines and {ends['count']} line ends from {len(lines['repositories'])} held-out repositories, "
        "drawn evenly over them; lines that hold no letter or digit are left out.",
        f"The mean length is {lines['mean_characters']:.0f} and {ends['mean_characters']:.0f} characters; of the line ends, "
        f"{ends['without_letters_or_digits']} hold no letter or digit.",
        f"All systems draw greedily, at most {found['settings']['decoding']['max_tokens']} tokens.",
        f"Starloom: {ours['parameters'] / 1e6:.1f} M parameters, {ours['context']} positions for prompt and completion.",
    ]
    if peer:
        sentences += [
            f"{peer['name']}: 135 M parameters, dequantised to float32, up to {peer['context']} tokens of what stands before the "
            "cursor, which can be more text than Starloom sees.",
            "These public files may have been in SmolLM2's training data; they were not in Starloom's.",
        ]
    return "\n".join(sentences)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, help="a model directory or GGUF file; default: the embedded model")
    parser.add_argument("--smollm2", type=Path, help="the folder with SmolLM2's weights, when the package is not installed")
    parser.add_argument("--without-peer", action="store_true", help="leave SmolLM2 out")
    parser.add_argument("--count", type=int, default=300, help="examples of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--context", type=int, help="positions for our prompt and completion; default: all that the model has")
    parser.add_argument("--peer-context", type=int, default=2048, help="most tokens before the cursor that SmolLM2 sees")
    parser.add_argument("--max-tokens", type=int, default=48)
    parser.add_argument("--windows", type=int, default=200, help="windows for bits per byte")
    parser.add_argument("--window-bytes", type=int, default=1536)
    parser.add_argument(
        "--window-tokens", type=int, default=511, help="the most of our tokens in a window: what it was trained on"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--answers", type=Path, help="a file of JSON lines that keeps answers from run to run")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--card", type=Path)
    return parser.parse_args()


def run(arguments: argparse.Namespace) -> None:
    path = arguments.model or embedded_model()
    documents = held_out(arguments.data)
    asked = {kind: examples(documents, kind=kind, count=arguments.count, seed=arguments.seed) for kind in KINDS}
    ours, kept = Ours(path, arguments.context, arguments.max_tokens), KeptAnswers(arguments.answers)
    systems, peer = ours_by_name(ours, kept), None
    if not arguments.without_peer:
        peer = SmolLM2.open(arguments.smollm2, context=arguments.peer_context)
        systems |= peer_by_name(peer, arguments.max_tokens, kept)
    results = ask(asked, systems)
    found = {
        "settings": settings(ours, peer, arguments),
        "examples": {kind: described(chosen) for kind, chosen in asked.items()},
        **record(results),
        "bits_per_byte": bits_per_byte(ours, peer, documents, arguments),
    }
    print(systems_table(results), json.dumps(found["bits_per_byte"]["models"]), sep="\n")
    if arguments.out:
        write_text(arguments.out, json.dumps(found, indent=1) + "\n")
    if arguments.card:
        write_text(arguments.card, card(found, results, arguments.seed))


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    try:
        run(arguments)
    except StarloomError as error:
        sys.exit(f"embedded_model: {error}")


if __name__ == "__main__":
    main()
