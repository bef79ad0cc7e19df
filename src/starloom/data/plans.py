"""Which files of a repository make which training sequences, in which order, with or without names; no texts and no tokens here.

A sequence is a whole repository (StarCoder 2 paper, section 5.1), or a part of one that is too large for the encoder. The
trainer cuts sequences that follow each other into windows of its context (4,096 or 16,384 tokens), so nothing here depends on it;
what the order does for a window's size is measured in benchmarks/sequence_orders.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from starloom.contract.contract import Contract, SourceFile
from starloom.core.errors import SettingsError
from starloom.data.imports import IMPORTING_LANGUAGES, Tree, imports
from starloom.data.orders import FileOrder, check_file_order, draw, order_files

SEQUENCE_BYTES = 16 * 2**20
"""A larger repository becomes several sequences, so that the encoder's memory stays bounded."""


@dataclass(frozen=True)
class SequenceSettings:
    """How repositories become sequences. Raises `SettingsError` for an unknown order or a value out of range."""

    order: FileOrder = "random"
    metadata_probability: float = 0.5
    max_bytes: int = SEQUENCE_BYTES
    seed: int = 0

    def __post_init__(self) -> None:
        check_file_order(self.order)
        if not 0 <= self.metadata_probability <= 1:
            raise SettingsError(f"metadata_probability is {self.metadata_probability}; it must be from 0 to 1")
        if self.max_bytes < 1:
            raise SettingsError(f"max_bytes is {self.max_bytes}; it must be at least 1")


class File(NamedTuple):
    """What a plan needs to know of a file: `size` in bytes, `copies` of it to be made, `imports` as paths."""

    path: str
    size: int
    copies: int = 1
    imports: Sequence[str] = ()


class Plan(NamedTuple):
    """One sequence: places of files in the list that it was planned from, and whether it shows its name and paths.

    Sequences of all repositories, sorted by `rank`, are in random order, the parts of a repository together.
    """

    files: list[int]
    metadata: bool
    rank: tuple[int, int, int]


def plan_sequences(repository: str, files: Sequence[File], settings: SequenceSettings) -> list[Plan]:
    """The sequences of a repository.

    Of files with several copies each further round makes sequences of its own, in another order: a file is never twice in
    one. Paths are distinct. All that is random comes from the seed, the repository's name, the round and the paths.
    """
    plans = []
    for number in range(max((file.copies for file in files), default=0)):
        places = [place for place, file in enumerate(files) if file.copies > number]
        name = f"{repository}\0{number}" if number else repository
        chosen = [files[place] for place in places]
        known = {file.path: file.imports for file in chosen}
        order = order_files(name, [file.path for file in chosen], settings.order, settings.seed, known)
        metadata = draw(settings.seed, "metadata", name) < settings.metadata_probability * 2.0**64
        rank = draw(settings.seed, "repository", name)
        parts = split(order, [file.size for file in chosen], settings.max_bytes)
        plans += [Plan([places[item] for item in part], metadata, (rank, number, count)) for count, part in enumerate(parts)]
    return plans


def split(order: Sequence[int], sizes: Sequence[int], max_bytes: int) -> list[list[int]]:
    """Cut an order into parts: each ends with the file that brings it to `max_bytes` bytes."""
    parts: list[list[int]] = []
    size = max_bytes
    for place in order:
        if size >= max_bytes:
            parts.append([])
            size = 0
        parts[-1].append(place)
        size += sizes[place]
    return parts


def imports_of(texts: Mapping[str, tuple[str, str]]) -> dict[str, list[str]]:
    """What each file of a repository imports of it, from (language, text) by path; the beginnings of texts are enough."""
    tree = Tree(texts)
    return {
        path: imports(path, text, language, tree) for path, (language, text) in texts.items() if language in IMPORTING_LANGUAGES
    }


def sequence_ids(contract: Contract, repository: str, plan: Plan, files: Sequence[SourceFile]) -> list[int]:
    """The token ids of a planned sequence; `files` are those of the plan, in its order. Raises `InputError` for unknown bytes."""
    return contract.repository_ids(files, repository=repository if plan.metadata else None)
