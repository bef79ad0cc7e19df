import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starloom.data.duplicates import near
from starloom.data.duplicates.minhash import Banding
from starloom.data.duplicates.near import NearDuplicates
from starloom.data.duplicates.shingles import shingles_of
from starloom.data.duplicates.verification import similarities


def survivors(texts: list[str], folder: Path, ranks: list[int] | None = None, banding: Banding | None = None) -> list[int]:
    with NearDuplicates(folder / "store", banding=banding or near.DEFAULT) as duplicates:
        for text in texts:
            duplicates.add(text)
        return duplicates.survivors(np.array(ranks or range(len(texts)), dtype=np.int64))


def likeness(one: str, other: str) -> float:
    return float(similarities(np.array([[0, 1]]), shingles_of([one, other]))[0])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_groups_are_those_that_comparing_all_pairs_finds(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    draw = random.Random(seed)
    texts = []
    for _ in range(5):
        words = [str(draw.random()) for _ in range(60)]
        for _ in range(4):
            texts.append(" ".join(word if draw.random() > 0.03 else "changed" for word in words))
    ranks = draw.sample(range(len(texts)), len(texts))
    found = survivors(texts, tmp_path_factory.mktemp("store"), ranks)
    for number, survivor in enumerate(found):
        assert found[survivor] == survivor
        assert ranks[survivor] <= ranks[number]
        for other in range(number):
            if likeness(texts[number], texts[other]) >= 0.8:  # found by the keys with probability 0.9997
                assert found[number] == found[other]
            elif number // 4 != other // 4:
                assert found[number] != found[other]


def test_batches_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(1)
    texts = [" ".join(draw.choices("ab", k=draw.randrange(9))) for _ in range(200)]
    whole = survivors(texts, tmp_path)
    assert len(set(whole)) < 200
    monkeypatch.setattr(near, "BATCH_CHARACTERS", 1)
    assert survivors(texts, tmp_path) == whole


def test_a_chain_of_likenesses_is_one_group(tmp_path: Path) -> None:
    words = [f"w{number}" for number in range(130)]
    texts = [" ".join(words[start : start + 100]) for start in (0, 10, 20, 30)]
    assert likeness(texts[0], texts[3]) < 0.7 < likeness(texts[0], texts[1])
    assert survivors(texts, tmp_path, banding=Banding(50, 5), ranks=[3, 2, 1, 0]) == [3, 3, 3, 3]


def test_short_texts_are_never_duplicates(tmp_path: Path) -> None:
    assert survivors(["", "a b c d", "a b c d", "a b c d e", "a, b: c D (e)"], tmp_path) == [0, 1, 2, 3, 3]


def test_the_comment_at_the_head_does_not_count(tmp_path: Path) -> None:
    head = "#!/bin/x\n#\n# " + " ".join(f"licence{number}" for number in range(50)) + "\n\n"
    bodies = ["one = first(a, b, c)\n", "two = second(d, e, f)\n"]
    assert survivors([head + body for body in bodies], tmp_path) == [0, 1]
    assert survivors([head + bodies[0], "// other words entirely here\n" + bodies[0], head, head + "x"], tmp_path) == [0, 0, 2, 2]


def test_no_texts_at_all(tmp_path: Path) -> None:
    assert survivors([], tmp_path) == []


def test_the_store_is_removed(tmp_path: Path) -> None:
    survivors(["a b c d e f"], tmp_path)
    assert list(tmp_path.iterdir()) == []
