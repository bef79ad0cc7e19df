"""What `benchmarks/duplicates.py quality` counts for each banding: recall and precision of pairs and groups, cost, the curve."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import record
from numpy.typing import NDArray
from planted_edits import EDITS

from starloom.data.duplicates.candidates import THRESHOLD, WINDOW, band_rows, candidates
from starloom.data.duplicates.components import components
from starloom.data.duplicates.minhash import DEFAULT, PUBLISHED, Banding, band_keys, signatures
from starloom.data.duplicates.shingles import shingles_of
from starloom.data.duplicates.verification import verified

Scheme = tuple[Banding, int, bool]
SCHEMES: list[Scheme] = [
    (DEFAULT, WINDOW, True),
    (PUBLISHED, WINDOW, True),
    (Banding(25, 5), WINDOW, True),
    (Banding(41, 6), WINDOW, True),
    (Banding(50, 5), WINDOW, True),
    (DEFAULT, 4, True),
    (DEFAULT, 64, True),
]
HEADS: Scheme = (DEFAULT, WINDOW, False)
BINS = np.round(np.arange(0.3, 1.0001, 0.025), 3)


@dataclass(frozen=True)
class Truth:
    """All pairs of texts above a similarity, and the groups that those above the threshold make."""

    pairs: NDArray[np.int64]
    similarity: NDArray[np.float64]
    count: int

    @property
    def groups(self) -> NDArray[np.int64]:
        """For each text the least of its group."""
        return groups_of(self.pairs[self.similarity >= THRESHOLD], self.count)


@dataclass
class Measured:
    """What one scheme found."""

    name: str
    banding: Banding
    verified: NDArray[np.int64]
    groups: NDArray[np.int64]
    curve: NDArray[np.float64]
    numbers: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Edits:
    """The table of edits, and what the head of files does."""

    rows: list[list[str]]
    notes: str
    numbers: dict[str, Any]


def groups_of(edges: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    groups = np.arange(count)
    vertices, least = components(edges)
    groups[vertices] = least
    return groups


def coded(pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    return pairs[:, 0] << 32 | pairs[:, 1]


def measured(texts: Sequence[str], truth: Truth, banding: Banding, window: int, strip_heads: bool) -> Measured:
    """Run a scheme; recall and precision are against `truth`, whose pairs do without heads."""
    ids = np.arange(len(texts))
    began = [time.process_time()]
    shingles = shingles_of(texts, strip_heads=strip_heads)
    began.append(time.process_time())
    keys = band_keys(signatures(shingles, banding.bands * banding.rows), banding)
    began.append(time.process_time())
    pairs = candidates(band_rows(keys, shingles, ids), window=window)
    began.append(time.process_time())
    edges = verified(pairs, ids, shingles)
    began.append(time.process_time())
    groups = groups_of(edges, len(texts))
    began.append(time.process_time())
    similar = truth.similarity >= 0.75
    together = groups[truth.pairs[:, 0]] == groups[truth.pairs[:, 1]]
    in_truth = coded(truth.pairs[truth.similarity >= THRESHOLD])
    shared = (keys[truth.pairs[:, 0]] == keys[truth.pairs[:, 1]]).any(axis=1)
    places = np.digitize(truth.similarity, BINS[1:-1])
    name = f"{banding.bands} x {banding.rows}, window {window}" + ("" if strip_heads else ", heads kept")
    numbers = {
        "pair_recall_075": float(np.isin(coded(truth.pairs[similar]), coded(edges)).mean()),
        "group_recall_075": float(together[similar].mean()),
        "group_recall_070": float(together[truth.similarity >= THRESHOLD].mean()),
        "precision": float(np.isin(coded(edges), in_truth).mean()),
        "rand_index": adjusted_rand(groups, truth.groups),
        "dropped": int((groups != ids).sum()),
        "dropped_by_truth": int((truth.groups != ids).sum()),
        "candidates": len(pairs),
        "edges": len(edges),
        "seconds": dict(zip(("shingles", "keys", "candidates", "verified", "groups"), np.diff(began).round(2), strict=True)),
    }
    curve = np.bincount(places, shared, len(BINS) - 1) / np.maximum(np.bincount(places, minlength=len(BINS) - 1), 1)
    return Measured(name, banding, edges, groups, curve, numbers)


def adjusted_rand(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    """The adjusted Rand index of two groupings, 1 when they are the same."""

    def pairs(groups: NDArray[np.int64]) -> float:
        counts = np.unique(groups, return_counts=True)[1].astype(float)
        return float((counts * (counts - 1) / 2).sum())

    both = pairs(one << 32 | other)
    expected = pairs(one) * pairs(other) / (len(one) * (len(one) - 1) / 2)
    greatest = (pairs(one) + pairs(other)) / 2
    return (both - expected) / (greatest - expected)


def edits_table(table: pa.Table, truth: Truth, headed: Truth, scheme: Measured, heads: Measured) -> Edits:
    """How each kind of edit fares, and what the comments at the head change."""
    origins, kinds = np.array(table["origin"]), np.array(table["edit"])
    value = dict(zip(coded(truth.pairs).tolist(), truth.similarity.tolist(), strict=True))
    rows = []
    for edit in EDITS:
        copies = np.flatnonzero(kinds == edit)
        ends = np.sort(np.stack([copies, origins[copies]], axis=1), axis=1)
        similarity = np.array([value.get(code, 0.0) for code in coded(ends).tolist()])
        alike = similarity >= 0.75
        row = [edit.replace("_", " "), str(len(copies)), f"{np.median(similarity):.2f}", f"{alike.mean():.3f}"]
        for found in (scheme, heads):
            together = found.groups[ends[:, 0]] == found.groups[ends[:, 1]]
            row.append(f"{together[alike].mean():.4f}")
        rows.append(row)
    with_head = coded(headed.pairs[headed.similarity >= THRESHOLD])
    without = coded(truth.pairs[truth.similarity >= THRESHOLD])
    numbers = {
        "pairs_070": len(without),
        "pairs_070_heads_kept": len(with_head),
        "only_because_of_heads": int((~np.isin(with_head, without)).sum()),
        "hidden_by_heads": int((~np.isin(without, with_head)).sum()),
    }
    notes = (
        f"Pairs of similarity 0.7 or more: {numbers['pairs_070']:,}; with heads {numbers['pairs_070_heads_kept']:,}, of which "
        f"{numbers['only_because_of_heads']:,} only because of their heads, while {numbers['hidden_by_heads']:,} are missed."
    )
    return Edits(rows, notes, numbers)


def quality_tables(schemes: Sequence[Measured], edits: Edits) -> str:
    """Schemes, stages, edits and the curve as Markdown."""
    columns = ["scheme", "recall of pairs >= 0.75", "in one group", ">= 0.7 in one group", "precision", "Rand index", "dropped"]
    rows = []
    for scheme in schemes:
        found = scheme.numbers
        recall = [
            f"{found[key]:.4f}" for key in ("pair_recall_075", "group_recall_075", "group_recall_070", "precision", "rand_index")
        ]
        rows.append([scheme.name, *recall, f"{found['dropped']} / {found['dropped_by_truth']}"])
    cost = [
        [
            scheme.name,
            f"{scheme.numbers['candidates']:,}",
            f"{scheme.numbers['edges']:,}",
            *map(str, scheme.numbers["seconds"].values()),
        ]
        for scheme in schemes
    ]
    curve = [
        [
            f"{low:.3f}-{high:.3f}",
            *(f"{scheme.banding.probability((low + high) / 2):.3f} / {scheme.curve[place]:.3f}" for scheme in schemes[:5]),
        ]
        for place, (low, high) in enumerate(pairwise(BINS))
    ]
    return "\n\n".join(
        [
            "\n" + record.table(columns, rows),
            record.table(["scheme", "candidates", "edges", *(f"{key}, s" for key in schemes[0].numbers["seconds"])], cost),
            record.table(["edit", "copies", "similarity", ">= 0.75", "found", "found with heads"], edits.rows),
            edits.notes,
            "Pairs that share a key, by the formula / measured:",
            record.table(["similarity", *(scheme.name.partition(",")[0] for scheme in schemes[:5])], curve),
        ]
    )


def draw_curve(schemes: Sequence[Measured], path: Path) -> None:
    """The probability that a pair shares a key against its similarity: lines by the formula, points as measured."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4))
    grid, middles = np.linspace(0.3, 1, 200), (BINS[:-1] + BINS[1:]) / 2
    for number, scheme in enumerate(schemes[:5]):
        label = f"{scheme.banding.bands} bands of {scheme.banding.rows}"
        axes.plot(grid, [scheme.banding.probability(value) for value in grid], color=f"C{number}", label=label)
        axes.plot(middles, scheme.curve, "o", color=f"C{number}", markersize=3)
    axes.axvline(THRESHOLD, color="grey", linewidth=0.8, linestyle=":")
    axes.set(xlabel="Jaccard similarity of a pair", ylabel="shares a key", xlim=(0.3, 1), ylim=(0, 1.02))
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
