"""Sequences of all buckets, one after the other, as token shards in `tokens/train` (those held out in `tokens/validation`), and
their tokenizer in `tokenizer`: what `starloom train` reads.

The last part of a run, done in the run's own process: it only copies. Memory is that of one bucket.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from starloom.contract.shard_writer import ShardWriter
from starloom.core.progress import bar
from starloom.data.pipeline.layout import Layout
from starloom.data.pipeline.markers import output_name
from starloom.data.pipeline.shuffle import read_rows
from starloom.data.pipeline.stages.expressible import contract_at
from starloom.data.pipeline.stages.sequences import SEQUENCES
from starloom.data.pipeline.storage import Storage

FOLDERS = {"train": "tokens/train", "validation": "tokens/validation"}
TOKENIZER, MARKER = "tokenizer", "tokens.done"


@dataclass
class TokenCount:
    """What the shards hold; a document that is taken twice counts twice."""

    tokens: int = 0
    sequences: int = 0
    documents: int = 0

    def add(self, tokens: int, documents: int) -> None:
        """Count one sequence."""
        self.tokens += tokens
        self.sequences += 1
        self.documents += documents


def write_tokens(storage: Storage, layout: Layout, fingerprint: str) -> dict[str, TokenCount]:
    """Write the token shards, unless they are there already; the counts of `train`, and of `validation` when there is any."""
    known = storage.read(MARKER)
    if known is not None and (values := json.loads(known))["fingerprint"] == fingerprint:
        return {split: TokenCount(**count) for split, count in values["counts"].items()}
    with tempfile.TemporaryDirectory(prefix="starloom-tokens-", dir=storage.folder()) as scratch:
        counts = _write(storage, layout, Path(scratch))
        for folder in (TOKENIZER, *FOLDERS.values()):
            _replace(storage, folder, Path(scratch) / folder)
    values = {"fingerprint": fingerprint, "counts": {split: asdict(count) for split, count in counts.items()}}
    storage.write(MARKER, (json.dumps(values) + "\n").encode())
    return counts


def _replace(storage: Storage, folder: str, new: Path) -> None:
    """Put the files of `new` (none when it does not exist) in the place of those of a folder."""
    for name in storage.names(folder):
        storage.remove(f"{folder}/{name}")
    for path in sorted(new.iterdir()) if new.exists() else ():
        storage.take(path, f"{folder}/{path.name}")


def _write(storage: Storage, layout: Layout, scratch: Path) -> dict[str, TokenCount]:
    place = layout.settings.tokens.tokenizer
    assert place is not None, "asked for only with a tokenizer"
    tokenizer = contract_at(place).tokenizer
    tokenizer.save(scratch / TOKENIZER)
    names = [output_name("sequences", shard, sent=True) for shard in range(len(layout.shards))]
    with ExitStack() as stack, bar("tokens", layout.num_buckets) as progress:
        writers = {"train": stack.enter_context(ShardWriter(scratch / FOLDERS["train"], tokenizer))}
        counts = {"train": TokenCount()}
        for bucket in range(layout.num_buckets):
            for held_out, documents, sequence in _sequences(storage, names, bucket):
                split = "validation" if held_out else "train"
                if split not in writers:
                    writers[split] = stack.enter_context(ShardWriter(scratch / FOLDERS[split], tokenizer))
                    counts[split] = TokenCount()
                writers[split].add(sequence)
                counts[split].add(len(sequence), documents)
            progress.advance()
    return counts


def _sequences(storage: Storage, names: list[str], bucket: int) -> Iterator[tuple[bool, int, npt.NDArray[np.uint32]]]:
    """The sequences of a bucket in order: whether held out, the number of documents, the tokens."""
    rows = read_rows(storage, names, bucket, SEQUENCES)
    rows = rows.append_column("place", [list(range(rows.num_rows))])
    rows = rows.sort_by([(name, "ascending") for name in ("key", "round", "part", "place")])
    values = [rows.column(name).to_pylist() for name in ("held_out", "documents")]
    for held_out, documents, ids in zip(*values, rows.column("tokens"), strict=True):
        yield held_out, documents, ids.values.to_numpy()
