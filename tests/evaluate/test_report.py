"""Reports hold the numbers of the summaries, pairs count up, and Markdown survives hostile text."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from starloom.core.errors import InputError, MismatchError
from starloom.evaluate import Answer, Example, Outcome, compare, examples, outcomes, summarise
from starloom.evaluate.infilling import KINDS, Kind
from starloom.evaluate.report import comparisons_table, record, systems_table, table
from starloom.evaluate.samples import CURSOR, samples

Documents = list[tuple[str, str, str]]


def _every(found: list[Example], step: int, ended: bool | None = None) -> list[Outcome]:
    """The outcomes of a system that gets each `step`th example right."""
    right = {(example.prefix, example.suffix): example.middle for example in found[::step]}
    return list(outcomes(found, lambda prefix, suffix: Answer(right.get((prefix, suffix), "?"), ended)))


@pytest.fixture
def results(documents: Documents) -> dict[str, dict[Kind, list[Outcome]]]:
    found = {kind: examples(documents, kind=kind, count=12) for kind in KINDS}
    return {
        "fill-in": {kind: _every(found[kind], 2, ended=True) for kind in KINDS},
        "left to right": {kind: _every(found[kind], 3) for kind in KINDS},
    }


def test_pairs_are_counted(results: dict[str, dict[Kind, list[Outcome]]]) -> None:
    comparison = compare(results["fill-in"]["line"], results["left to right"]["line"])
    assert (comparison.both, comparison.only_first, comparison.only_second, comparison.neither) == (2, 4, 2, 4)
    assert comparison.p == pytest.approx(44 / 64)


def test_other_examples_cannot_be_compared(results: dict[str, dict[Kind, list[Outcome]]]) -> None:
    with pytest.raises(MismatchError, match="not asked the same examples"):
        compare(results["fill-in"]["line"], results["fill-in"]["line_end"])
    with pytest.raises(MismatchError, match="not asked the same examples"):
        samples({"a": results["fill-in"]["line"], "b": results["fill-in"]["line_end"]}, count=1)


def test_nothing_cannot_be_summarised() -> None:
    with pytest.raises(InputError, match="at least one example"):
        summarise([])


def test_the_record_is_json(results: dict[str, dict[Kind, list[Outcome]]]) -> None:
    found = json.loads(json.dumps(record(results)))
    exact = found["systems"]["fill-in"]["line"]["exact"]
    assert (exact["count"], exact["total"], exact["share"]) == (6, 12, 0.5)
    assert exact["low"] < 0.5 < exact["high"]
    assert found["systems"]["left to right"]["line"]["whole"] is None
    assert [(pair["second"], pair["kind"]) for pair in found["comparisons"]] == [
        ("left to right", "line_end"),
        ("left to right", "line"),
    ]


def test_tables_have_a_row_for_each_system_and_pair(results: dict[str, dict[Kind, list[Outcome]]]) -> None:
    rows = systems_table(results).splitlines()
    assert len(rows) == 2 + 4
    assert rows[2].startswith("| from mid-line | fill-in | 50.0% (6 of 12) | 25.4% to 74.6% |")
    assert rows[3].endswith("|  |")
    pairs = comparisons_table(results).splitlines()
    assert len(pairs) == 2 + 2
    assert pairs[2].startswith("| from mid-line | fill-in : left to right | 2 | 4 | 2 | 4 |")


def test_a_system_may_lack_a_kind(results: dict[str, dict[Kind, list[Outcome]]]) -> None:
    del results["left to right"]["line"]
    assert len(systems_table(results).splitlines()) == 2 + 3
    assert len(comparisons_table(results).splitlines()) == 2 + 1


def test_cells_cannot_break_a_table() -> None:
    assert table(["a"], [["x | y\nz"]]) == "| a |\n| --- |\n| x \\| y z |\n"


def test_samples_show_the_place_and_all_answers(example: Example) -> None:
    right, wrong = Answer("return x + 1", True), Answer("return\n`` y", False)
    shown = samples({name: list(outcomes([example], lambda p, s, a=a: a)) for name, a in (("A", right), ("B", wrong))}, count=9)
    assert f"def f(x):\n    {CURSOR}\n\n\nprint(f(2))\n" in shown
    assert "- really: ` return x + 1 `" in shown
    assert "- A, exact: ` return x + 1 `" in shown
    assert "- B, wrong (similarity 0.50): ``` return⏎`` y ```" in shown


def test_sample_fences_are_longer_than_what_they_hold(example: Example) -> None:
    hostile = replace(example, prefix=b"````\n" * 9)
    shown = samples({"A": list(outcomes([hostile], lambda prefix, suffix: ""))}, count=1)
    assert shown.count("`````python\n") == 1
    assert shown.count("````\n") - shown.count("`````\n") == 5
    assert "wrong (similarity 0.00): (nothing)" in shown


def test_long_completions_are_cut(example: Example) -> None:
    shown = samples({"A": list(outcomes([example], lambda prefix, suffix: "x" * 500))}, count=1)
    assert f"` {'x' * 120} ` ...\n" in shown


def test_samples_are_drawn_by_seed_alone(results: dict[str, dict[Kind, list[Outcome]]]) -> None:
    by_system = {system: kinds["line"] for system, kinds in results.items()}
    assert samples(by_system, count=5) == samples(by_system, count=5)
    assert samples(by_system, count=5) != samples(by_system, count=5, seed=1)
    assert samples(by_system, count=5).count("- really:") == 5
