"""Kept documents as training sequences: a tokenizer trained on them where asked for, and token shards of whole repositories.

Files of a repository come in random order, its name and paths are shown with a given probability, repositories follow
each other in random order: StarCoder 2 paper, section 5.1. Everything random comes from the seed and the repository's name.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from starloom.contract.contract import Contract, SourceFile
from starloom.contract.shard_writer import ShardWriter
from starloom.contract.tokenizer import Tokenizer
from starloom.core.progress import bar
from starloom.data.plans import SEQUENCE_BYTES, split
from starloom.data.quality.filters import NOT_EXPRESSIBLE
from starloom.data.repositories import Repository


@dataclass(frozen=True, slots=True)
class TokenCount:
    """What one folder of shards holds."""

    tokens: int
    sequences: int
    documents: int


def train_tokenizer(repositories: Sequence[Repository], vocab_size: int, max_bytes: int, seed: int) -> Tokenizer:
    """Train on the training documents, or when they are more than `max_bytes`, on a random part of about that size."""
    training = [repository for repository in repositories if not repository.held_out]
    total = sum(entry.size for repository in training for entry in repository.kept())
    share = min(1.0, max_bytes / max(total, 1))
    return Tokenizer.train(_sample(training, share, seed), vocab_size)


def _sample(repositories: Sequence[Repository], share: float, seed: int) -> Iterator[str]:
    for repository in repositories:
        draw = random.Random(f"{seed}/tokenizer/{repository.name}")
        for _, text in repository.texts():
            if draw.random() < share:
                yield text


def drop_not_expressible(repositories: Sequence[Repository], tokenizer: Tokenizer) -> None:
    """Drop documents with bytes that the vocabulary has no token for (the published one lacks 14)."""
    if not tokenizer.missing_bytes:
        return
    for repository in repositories:
        for entry, text in repository.texts():
            missing = tokenizer.missing_bytes.intersection((repository.name + entry.path + text).encode())
            if missing:
                entry.drop(NOT_EXPRESSIBLE, " ".join(f"0x{byte:02X}" for byte in sorted(missing)))


def write_shards(
    repositories: Sequence[Repository], tokenizer: Tokenizer, folder: Path, seed: int, metadata_probability: float
) -> TokenCount:
    """Write the sequences of `repositories` to the new folder `folder`."""
    contract = Contract(tokenizer)
    order = [repository for repository in repositories if any(True for _ in repository.kept())]
    random.Random(f"{seed}/repositories").shuffle(order)
    tokens = sequences = documents = 0
    with ShardWriter(folder, tokenizer) as writer, bar(f"tokens ({folder.name})", len(order)) as progress:
        for repository in order:
            draw = random.Random(f"{seed}/repository/{repository.name}")
            name = repository.name if draw.random() < metadata_probability else None
            for files in _sequences(repository, draw):
                ids = contract.repository_ids(files, repository=name)
                writer.add(ids)
                tokens, sequences, documents = tokens + len(ids), sequences + 1, documents + len(files)
            progress.advance()
    return TokenCount(tokens, sequences, documents)


def _sequences(repository: Repository, draw: random.Random) -> Iterator[list[SourceFile]]:
    """The files of a repository in random order, in parts of at most about `SEQUENCE_BYTES`.

    The parts are drawn first and each is then read for itself, so that only one is in memory.
    """
    entries = list(repository.kept())
    draw.shuffle(entries)
    for places in split(range(len(entries)), [entry.size for entry in entries], SEQUENCE_BYTES):
        part = [entries[place] for place in places]
        texts = {entry.path: text for entry, text in repository.texts(part)}
        yield [SourceFile(entry.path, texts[entry.path]) for entry in part]
