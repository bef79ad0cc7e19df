"""Sequences of all buckets, one after the other, as token shards in `tokens/train`, and their tokenizer in `tokenizer`:
what `starloom train` reads.

The last part of a run, done in the run's own process: it only copies. Memory is that of one bucket.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from starloom.contract.shard_writer import ShardWriter
from starloom.core.progress import bar
from starloom.data.pipeline.layout import Layout
from starloom.data.pipeline.markers import output_name
from starloom.data.pipeline.shuffle import read_rows
from starloom.data.pipeline.stages.expressible import contract_at
from starloom.data.pipeline.stages.sequences import SEQUENCES
from starloom.data.pipeline.storage import Storage

FOLDER, TOKENIZER, MARKER = "tokens/train", "tokenizer", "tokens.done"


@dataclass(frozen=True)
class TokenCount:
    """What the shards hold; a document that is taken twice counts twice."""

    tokens: int = 0
    sequences: int = 0
    documents: int = 0


def write_tokens(storage: Storage, layout: Layout, fingerprint: str) -> TokenCount:
    """Write the token shards, unless they are there already."""
    known = storage.read(MARKER)
    if known is not None and (values := json.loads(known))["fingerprint"] == fingerprint:
        return TokenCount(**values["count"])
    with tempfile.TemporaryDirectory(prefix="starloom-tokens-", dir=storage.folder()) as scratch:
        count = _write(storage, layout, Path(scratch))
        for folder in (TOKENIZER, FOLDER):
            for name in storage.names(folder):
                storage.remove(f"{folder}/{name}")
            for path in sorted((Path(scratch) / folder).iterdir()):
                storage.take(path, f"{folder}/{path.name}")
    storage.write(MARKER, (json.dumps({"fingerprint": fingerprint, "count": asdict(count)}) + "\n").encode())
    return count


def _write(storage: Storage, layout: Layout, scratch: Path) -> TokenCount:
    place = layout.settings.tokens.tokenizer
    assert place is not None, "asked for only with a tokenizer"
    tokenizer = contract_at(place).tokenizer
    tokenizer.save(scratch / TOKENIZER)
    names = [output_name("sequences", shard) for shard in range(len(layout.shards))]
    tokens = sequences = documents = 0
    with ShardWriter(scratch / FOLDER, tokenizer) as writer, bar("tokens", layout.num_buckets) as progress:
        for bucket in range(layout.num_buckets):
            rows = read_rows(storage, names, bucket, SEQUENCES)
            rows = rows.append_column("place", [list(range(rows.num_rows))])
            rows = rows.sort_by([(name, "ascending") for name in ("key", "round", "part", "place")])
            for part, ids in zip(rows.column("documents").to_pylist(), rows.column("tokens"), strict=True):
                sequence = ids.values.to_numpy()
                writer.add(sequence)
                tokens, sequences, documents = tokens + len(sequence), sequences + 1, documents + part
            progress.advance()
    return TokenCount(tokens, sequences, documents)
