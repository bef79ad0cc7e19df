"""Results as plain values for JSON and as Markdown tables. Decides nothing: numbers come from `summary`.

Results are outcomes by system and kind: `{"system": {"line": [...], "line_end": [...]}}`, all on the same examples.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from starloom.evaluate.infilling import Kind
from starloom.evaluate.scores import Outcome
from starloom.evaluate.summary import Comparison, Share, Summary, compare, summarise

Results = Mapping[str, Mapping[Kind, Sequence[Outcome]]]

KIND_TITLES: Mapping[Kind, str] = {"line_end": "from mid-line", "line": "whole line"}


def record(results: Results) -> dict[str, Any]:
    """All summaries, and the first system against each other one, ready for JSON."""
    return {
        "systems": {
            system: {kind: asdict(summarise(found)) for kind, found in kinds.items()} for system, kinds in results.items()
        },
        "comparisons": [
            {"first": first, "second": second, "kind": kind, **asdict(comparison)}
            for first, second, kind, comparison in _comparisons(results)
        ],
    }


def systems_table(results: Results) -> str:
    """One row for each system and kind: exact first lines, similarity, whole completions."""
    rows = [
        [KIND_TITLES[kind], system, *_summary_cells(summarise(found))]
        for kind in KIND_TITLES
        for system, kinds in results.items()
        if (found := kinds.get(kind))
    ]
    return table(["cursor", "system", "exact line", "95 % interval", "similarity", "exact and stopped"], rows)


def comparisons_table(results: Results) -> str:
    """One row for each pair and kind: how many examples both, one or none of the two completed exactly."""
    rows = [
        [KIND_TITLES[kind], f"{first} : {second}", *_comparison_cells(comparison)]
        for first, second, kind, comparison in _comparisons(results)
    ]
    return table(["cursor", "first : second", "both", "only first", "only second", "neither", "p"], rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; vertical bars and line ends in cells are made harmless."""
    lines = [_row(head), _row(["---"] * len(head)), *map(_row, rows)]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _comparisons(results: Results) -> Iterable[tuple[str, str, Kind, Comparison]]:
    """The first system paired with each of the others, on the kinds that both have."""
    first, *others = results
    for kind in KIND_TITLES:
        for second in others:
            if kind in results[first] and kind in results[second]:
                yield first, second, kind, compare(results[first][kind], results[second][kind])


def _summary_cells(summary: Summary) -> list[str]:
    exact = summary.exact
    interval = f"{exact.low:.1%} to {exact.high:.1%}"
    return [_share(exact), interval, f"{summary.similarity:.3f}", "" if summary.whole is None else _share(summary.whole)]


def _share(share: Share) -> str:
    return f"{share.share:.1%} ({share.count} of {share.total})"


def _comparison_cells(comparison: Comparison) -> list[str]:
    counts = (comparison.both, comparison.only_first, comparison.only_second, comparison.neither)
    return [*map(str, counts), f"{comparison.p:.2g}"]
