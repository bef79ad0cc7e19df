import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starloom.contract import Contract, SourceFile
from starloom.contract.layouts import Marks
from starloom.contract.shard_writer import ShardWriter
from starloom.contract.shards import Shards
from starloom.contract.tokenizer import Tokenizer
from starloom.core.errors import SettingsError
from starloom.data.plans import File, SequenceSettings, imports_of, plan_sequences, sequence_ids, split

FILES = [File("a/x.py", 10, imports=["a/y.py"]), File("a/y.py", 20), File("b/z.py", 30), File("c.py", 40, copies=2)]


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 100))
def test_parts_hold_all_in_order_and_end_once_they_are_full(sizes: list[int], max_bytes: int) -> None:
    parts = split(range(len(sizes)), sizes, max_bytes)
    assert [place for part in parts for place in part] == list(range(len(sizes)))
    for part in parts[:-1]:
        assert sum(sizes[place] for place in part) >= max_bytes
    for part in parts:
        assert sum(sizes[place] for place in part[:-1]) < max_bytes


@pytest.mark.parametrize("order", ["random", "path", "imports"])
def test_each_copy_of_each_file_is_in_one_sequence(order: str) -> None:
    plans = plan_sequences("r", FILES, SequenceSettings(order=order))  # type: ignore[arg-type]
    assert sorted(plans[0].files) == [0, 1, 2, 3]
    assert [plan.files for plan in plans[1:]] == [[3]]
    if order == "imports":
        assert plans[0].files.index(1) < plans[0].files.index(0)


def test_what_is_not_taken_makes_no_sequence() -> None:
    assert plan_sequences("r", [], SequenceSettings()) == []
    assert plan_sequences("r", [File("a", 1, copies=0)], SequenceSettings()) == []


def test_a_large_repository_is_cut_and_its_parts_stay_together() -> None:
    plans = plan_sequences("r", FILES, SequenceSettings(max_bytes=30))
    assert len(plans) >= 3
    assert len({plan.metadata for plan in plans if plan.rank[1] == 0}) == 1
    assert plans == sorted(plans, key=lambda plan: plan.rank)
    assert len({plan.rank[0] for plan in plans}) == 2


def test_metadata_is_shown_as_often_as_asked() -> None:
    def share(probability: float) -> float:
        settings = SequenceSettings(metadata_probability=probability)
        return sum(plan_sequences(f"r{number}", FILES[:1], settings)[0].metadata for number in range(1000)) / 1000

    assert share(0) == 0
    assert share(1) == 1
    assert 0.45 < share(0.5) < 0.55


@given(st.randoms(use_true_random=False), st.integers(0, 3))
def test_plans_do_not_depend_on_the_order_of_reading(shuffle: random.Random, seed: int) -> None:
    settings = SequenceSettings(order="imports", max_bytes=30, seed=seed)
    shuffled = shuffle.sample(FILES, len(FILES))
    named = [[FILES[place].path for place in plan.files] for plan in plan_sequences("r", FILES, settings)]
    assert [[shuffled[place].path for place in plan.files] for plan in plan_sequences("r", shuffled, settings)] == named


def test_imports_of_a_repository() -> None:
    texts = {
        "p/__init__.py": ("Python", ""),
        "p/a.py": ("Python", "from . import b\n"),
        "p/b.py": ("Python", ""),
        "x": ("Text", ""),
    }
    assert imports_of(texts) == {"p/__init__.py": [], "p/a.py": ["p/b.py"], "p/b.py": []}


@pytest.mark.parametrize("context", [4096, 16_384])
def test_sequences_fill_windows_of_both_contexts(tmp_path: Path, context: int) -> None:
    texts = {file.path: f"def f_{number}():\n    return {number}\n" * 150 for number, file in enumerate(FILES)}
    tokenizer = Tokenizer.train(texts.values(), 300)
    contract, marks = Contract(tokenizer), Marks.of(tokenizer)
    plans = {
        (name, plan.rank): plan for name in ("one", "two", "three") for plan in plan_sequences(name, FILES, SequenceSettings())
    }
    with ShardWriter(tmp_path / "tokens", tokenizer) as writer:
        for name, rank in sorted(plans, key=lambda key: key[1]):
            plan = plans[name, rank]
            files = [SourceFile(FILES[place].path, texts[FILES[place].path]) for place in plan.files]
            ids = sequence_ids(contract, name, plan, files)
            assert ids[0] == (marks.repo_name if plan.metadata else marks.file_sep)
            assert ids.count(marks.file_sep) == len(plan.files)
            assert ids[-1] == marks.end_of_text
            writer.add(ids)
    shards = Shards.open(tmp_path / "tokens", tokenizer)
    assert len(shards.read(0, context + 1)) == context + 1
    assert marks.file_sep in shards.read(0, context + 1)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"order": "sideways"}, "'sideways'"),
        ({"metadata_probability": 1.5}, "metadata_probability is 1.5"),
        ({"max_bytes": 0}, "max_bytes is 0"),
    ],
)
def test_bad_settings_are_named_back(setting: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        SequenceSettings(**setting)  # type: ignore[arg-type]
