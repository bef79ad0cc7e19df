"""Documents as token sequences: whole repositories, other records one by one, as often as the mixture asks for.

totals of each shard -> one part: rates -> shards: sequences -> buckets by a random key, so that buckets one after the other are
all sequences in random order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from starloom.contract.contract import Contract, SourceFile
from starloom.contract.tokens import END_OF_TEXT
from starloom.data.mixture import copies
from starloom.data.orders import draw
from starloom.data.pipeline.lists import fingerprint
from starloom.data.pipeline.rows import each
from starloom.data.pipeline.settings import TokenSettings
from starloom.data.pipeline.shuffle import SHARD_SHIFT
from starloom.data.pipeline.stages.expressible import contract_at
from starloom.data.pipeline.step import KEPT, Step
from starloom.data.plans import File, SequenceSettings, imports_of, plan_sequences, sequence_ids

PLAIN_KINDS = frozenset({"documentation"})
"""Records other than files that are ordinary text; all others are rendered with special tokens."""

_MIX = (pa.field("kind", pa.string()), pa.field("language", pa.string()))
TOTALS = pa.schema([pa.field("id", pa.int64()), *_MIX, pa.field("bytes", pa.int64())])
RATES = pa.schema([pa.field("id", pa.int64()), *_MIX, pa.field("rate", pa.float64())])
SEQUENCES = pa.schema(
    [
        pa.field("key", pa.uint64()),
        pa.field("round", pa.int64()),
        pa.field("part", pa.int64()),
        pa.field("held_out", pa.bool_()),
        pa.field("documents", pa.int64()),
        pa.field("tokens", pa.large_list(pa.uint32())),
    ]
)
_RECORD = ("source", "repository", "revision", "kind", "path", "language", "sha256", "held_out", "placeholders")
_READS = (*_RECORD, "text", "redacted_text", KEPT)


def sequence_steps(settings: TokenSettings, seed: int) -> tuple[Step, ...]:
    """The steps for the tokenizer that the settings name."""
    assert settings.tokenizer is not None, "without a tokenizer there are no sequences"
    maker = _Maker(settings, seed)
    known = {**asdict(settings), "tokenizer": fingerprint((settings.tokenizer,)), "seed": seed}
    reads = ("id", "kind", "language", "size", "held_out", KEPT)
    return (
        Step("mixture_totals", TOTALS, _totals, reads=reads, gives="to run", whole=True),
        Step("mixture_rates", RATES, maker.rates, takes=("mixture_totals",), per="run", gives="to shards", settings=known),
        Step("sequences", SEQUENCES, maker.sequences, _READS, takes=("mixture_rates",), gives="to buckets", settings=known),
    )


def _totals(table: pa.Table) -> pa.Table:
    """Bytes of kept records to train on by kind and language; `id` is that of the shard's first row."""
    sizes: defaultdict[tuple[str, str], int] = defaultdict(int)
    for kind, language, size, held_out, kept in each(table, "kind", "language", "size", "held_out", KEPT):
        if kept and not held_out:
            sizes[kind, language or ""] += size
    first = table.column("id")[0].as_py() if table.num_rows else 0
    rows = [{"id": first, "kind": kind, "language": language, "bytes": size} for (kind, language), size in sorted(sizes.items())]
    return pa.Table.from_pylist(rows, schema=TOTALS)


class _Record(NamedTuple):
    source: str
    repository: str
    revision: str | None
    kind: str
    path: str
    language: str
    sha256: bytes
    held_out: bool
    placeholders: tuple[int, ...]
    text: str

    @property
    def identity(self) -> str:
        """Stable and distinct, so that one more file does not change what is taken of others."""
        return f"{self.sha256.hex()}\0{self.repository}\0{self.path}"


class _Sequence(NamedTuple):
    key: int
    round: int
    part: int
    held_out: bool
    documents: int
    tokens: list[int]


class _Maker:
    """The steps that depend on settings."""

    def __init__(self, settings: TokenSettings, seed: int) -> None:
        self._settings, self._seed = settings, seed
        self._plan = SequenceSettings(settings.order, settings.metadata_probability, settings.max_bytes, seed)

    def rates(self, totals: pa.Table) -> pa.Table:
        """The rates for every shard."""
        sizes: defaultdict[tuple[str, str], int] = defaultdict(int)
        shards = set()
        for id_, kind, language, size in each(totals, *TOTALS.names):
            sizes[kind, language] += size
            shards.add(id_ >> SHARD_SHIFT << SHARD_SHIFT)
        rates = sorted(self._settings.mixture.rates(sizes).items())
        rows = [
            {"id": shard, "kind": kind, "language": language, "rate": rate}
            for shard in sorted(shards)
            for (kind, language), rate in rates
        ]
        return pa.Table.from_pylist(rows, schema=RATES)

    def sequences(self, table: pa.Table, rates: pa.Table) -> pa.Table:
        """The sequences of a shard."""
        known = {(kind, language): rate for _, kind, language, rate in each(rates, *RATES.names)}
        made = list(self._made(list(_records(table)), known))
        numbers = [pa.array([item[place] for item in made], SEQUENCES.field(place).type) for place in range(5)]
        tokens = pa.array([np.array(item.tokens, dtype=np.uint32) for item in made], SEQUENCES.field("tokens").type)
        return pa.table([*numbers, tokens], schema=SEQUENCES)

    def _made(self, records: list[_Record], rates: dict[tuple[str, str], float]) -> Iterator[_Sequence]:
        assert self._settings.tokenizer is not None
        contract = contract_at(self._settings.tokenizer)
        for _, group in groupby(records, key=lambda record: record[:3]):
            members = list(group)
            files = {record.path: record for record in members if record.kind == "file"}
            yield from self._repository(contract, list(files.values()), rates)
            for record in members:
                if record.kind != "file":
                    yield from self._single(contract, record, rates)

    def _copies(self, record: _Record, rates: dict[tuple[str, str], float]) -> int:
        """Held out records are taken once whatever the mixture, so that validation stays the same."""
        return 1 if record.held_out else copies(record.identity, rates[record.kind, record.language], self._seed)

    def _repository(self, contract: Contract, records: list[_Record], rates: dict[tuple[str, str], float]) -> Iterator[_Sequence]:
        if not records:
            return
        found = imports_of({r.path: (r.language, r.text) for r in records}) if self._settings.order == "imports" else {}
        files = [File(r.path, len(r.text.encode()), self._copies(r, rates), found.get(r.path, ())) for r in records]
        for plan in plan_sequences(records[0].repository, files, self._plan):
            sources = [
                SourceFile(record.path, record.text, record.placeholders) for record in map(records.__getitem__, plan.files)
            ]
            ids = sequence_ids(contract, records[0].repository, plan, sources)
            yield _Sequence(*plan.rank, records[0].held_out, len(sources), ids)

    def _single(self, contract: Contract, record: _Record, rates: dict[tuple[str, str], float]) -> Iterator[_Sequence]:
        tokenizer = contract.tokenizer
        for number in range(self._copies(record, rates)):
            if record.kind in PLAIN_KINDS:
                ids = tokenizer.encode_marked(record.text, record.placeholders)
            else:
                ids = tokenizer.encode_with_special(record.text)
            end = [tokenizer.special_ids[END_OF_TEXT]]
            key = draw(self._seed, "record", record.identity, number)
            yield _Sequence(key, 0, 0, record.held_out, 1, ids if ids[-1:] == end else ids + end)


def _records(table: pa.Table) -> Iterator[_Record]:
    for source, repository, revision, kind, path, language, sha256, held_out, places, text, redacted, kept in each(
        table, *_READS
    ):
        if kept:
            final = redacted if redacted is not None else text
            names = (source, repository, revision, kind, path, language or "")
            yield _Record(*names, sha256, held_out, tuple(places or ()), final)
