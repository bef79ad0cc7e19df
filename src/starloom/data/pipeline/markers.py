"""Which parts of a step are done: a small JSON file beside each output, written last.

A part is done when its marker has the fingerprint that the part has now, and the output the size that the marker says. A
fingerprint is of a step's settings and of the fingerprints of all that it reads: of derivations, so that whole runs can
be judged without reading data.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

from starloom.data.pipeline.step import Plan, Step
from starloom.data.pipeline.storage import READERS, Storage

MANIFEST = "manifest.json"
"""In the folder of a step: all its markers in one file, for reading."""


@dataclass(frozen=True, slots=True)
class Marker:
    """What is known of one finished part: `rows`, `bytes` of the output, `seconds` of wall clock and `processor` time."""

    fingerprint: str
    rows: int
    bytes: int
    seconds: float
    processor: float
    notes: dict[str, Any] = field(default_factory=dict)


def output_name(step: str, part: int, *, sent: bool = False) -> str:
    """The file with the output of a part: a table, or rows that are `sent` to parts of another step."""
    return f"{step}/{part:05d}.{'rows' if sent else 'parquet'}"


def marker_name(step: str, part: int) -> str:
    """The file with the marker of a part."""
    return f"{step}/{part:05d}.done"


def read_marker(storage: Storage, step: str, part: int) -> Marker | None:
    """The marker of a part, None when there is none or it cannot be read."""
    data = storage.read(marker_name(step, part))
    if data is None:
        return None
    try:
        return Marker(**json.loads(data))
    except (ValueError, TypeError):
        return None


def write_marker(storage: Storage, step: str, part: int, marker: Marker) -> None:
    """Say that a part is done."""
    storage.write(marker_name(step, part), (json.dumps(asdict(marker)) + "\n").encode())


def is_done(storage: Storage, step: str, part: int, fingerprint: str, *, sent: bool = False) -> bool:
    """Whether a part need not be computed again."""
    marker = read_marker(storage, step, part)
    if marker is None or marker.fingerprint != fingerprint:
        return False
    return storage.size(output_name(step, part, sent=sent)) == marker.bytes


def unfinished(storage: Storage, step: str, fingerprints: Sequence[str], *, sent: bool = False) -> list[int]:
    """The parts of a step that must be computed, given the fingerprint of each."""
    there = frozenset(storage.names(step))

    def done(part: int) -> bool:
        return _own(marker_name(step, part)) in there and is_done(storage, step, part, fingerprints[part], sent=sent)

    with ThreadPoolExecutor(READERS) as pool:
        return [part for part, is_there in enumerate(pool.map(done, range(len(fingerprints)))) if not is_there]


def read_markers(storage: Storage, step: str, num_parts: int) -> list[Marker]:
    """The markers of a step that can be read, in the order of its parts."""
    with ThreadPoolExecutor(READERS) as pool:
        markers = pool.map(lambda part: read_marker(storage, step, part), range(num_parts))
        return [marker for marker in markers if marker is not None]


def _own(name: str) -> str:
    return name.rpartition("/")[2]


def digest(*values: Any) -> str:
    """A fingerprint of plain values."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def plan_digest(plan: Plan) -> str:
    """Names the settings of all steps, with the lists and versions of libraries that they depend on."""
    steps = [(step.name, step.version, step.settings) for step in plan.steps]
    return digest(plan.ingest.version, plan.ingest.settings, steps)


class Fingerprints:
    """The fingerprint of every part of a run; `sources` holds one of each shard's sources."""

    def __init__(self, plan: Plan, sources: Sequence[str], num_buckets: int) -> None:
        self._plan, self._sources, self.num_buckets = plan, sources, num_buckets
        self._parts: dict[tuple[str, int], str] = {}
        self._wholes: dict[str, str] = {}

    def num_parts(self, step: str) -> int:
        """How many parts a step has."""
        if step == self._plan.ingest.name:
            return len(self._sources)
        per = self._plan.step(step).per
        return len(self._sources) if per == "shard" else self.num_buckets if per == "bucket" else 1

    def of(self, step: str, part: int) -> str:
        """The fingerprint of one part."""
        if (step, part) not in self._parts:
            self._parts[step, part] = self._ingest(part) if step == self._plan.ingest.name else self._step(step, part)
        return self._parts[step, part]

    def of_all(self, step: str) -> str:
        """The fingerprint of all parts of a step together."""
        if step not in self._wholes:
            self._wholes[step] = digest([self.of(step, part) for part in range(self.num_parts(step))])
        return self._wholes[step]

    def _ingest(self, part: int) -> str:
        ingest = self._plan.ingest
        return digest(ingest.name, ingest.version, ingest.settings, ingest.schema.to_string(), part, self._sources[part])

    def _step(self, name: str, part: int) -> str:
        step = self._plan.step(name)
        read = self._plan.producers(step)
        columns = [self.of(other, part) if step.per == "shard" else self.of_all(other) for other in read]
        rows = [self.of_all(other) for other in step.takes]
        buckets = self.num_buckets if _shuffles(self._plan, step) else 0
        return digest(step.name, step.version, step.settings, step.schema.to_string(), part, buckets, columns, rows)


def _shuffles(plan: Plan, step: Step) -> bool:
    """Whether the number of buckets decides how this step's rows are laid out."""
    return step.gives == "to buckets" or any(_shuffles(plan, plan.step(other)) for other in step.takes)
