import random
from pathlib import Path

import datasketch
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starloom.data.duplicates.near import NearDuplicates
from starloom.data.duplicates.shingles import NUM_BANDS, bands_of, shingles_of, similarity


def plain_shingles(text: str) -> set[tuple[str, ...]]:
    """The slow twin of `shingles_of`: runs of five words as tuples."""
    words, word = [], ""
    for character in text + " ":
        if character == "_" or not character.isascii() or character.isalnum():
            word += character.lower() if character.isascii() else character
        elif word:
            words.append(word)
            word = ""
    return {tuple(words[place : place + 5]) for place in range(len(words) - 4)}


def plain_similarity(one: str, other: str) -> float:
    first, second = plain_shingles(one), plain_shingles(other)
    return len(first & second) / len(first | second) if first | second else 0.0


def survivors(texts: list[str], folder: Path, ranks: list[int] | None = None) -> list[int]:
    with NearDuplicates(folder / "store") as duplicates:
        for text in texts:
            duplicates.add(text)
        return duplicates.survivors(np.array(ranks or range(len(texts)), dtype=np.int64))


_texts = st.text("abAB_ .\né", max_size=80)


@given(_texts, _texts)
def test_hashed_shingles_are_as_similar_as_the_words(one: str, other: str) -> None:
    assert len(shingles_of(one)) == len(plain_shingles(one))
    assert similarity(shingles_of(one), shingles_of(other)) == pytest.approx(plain_similarity(one, other))


def test_bands_estimate_the_similarity() -> None:
    """A pair of similarity s shares a band with probability s^5: the mean over many pairs must agree."""
    draw = random.Random(1)
    shared = 0
    for _ in range(200):
        words = [str(draw.random()) for _ in range(110)]
        one, other = " ".join(words[:100]), " ".join(words[10:])
        expected = similarity(shingles_of(one), shingles_of(other)) ** 5
        shared += int((bands_of(shingles_of(one)) == bands_of(shingles_of(other))).sum()) - NUM_BANDS * expected
    assert abs(shared) / (200 * NUM_BANDS) < 0.03


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_groups_are_those_that_comparing_all_pairs_finds(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    draw = random.Random(seed)
    texts = []
    for _ in range(5):
        words = [str(draw.random()) for _ in range(60)]
        for _ in range(4):
            changed = [word if draw.random() > 0.03 else "changed" for word in words]
            texts.append(" ".join(changed))
    ranks = draw.sample(range(len(texts)), len(texts))
    found = survivors(texts, tmp_path_factory.mktemp("store"), ranks)
    for number, survivor in enumerate(found):
        assert found[survivor] == survivor
        assert ranks[survivor] <= ranks[number]
        for other in range(number):
            likeness = plain_similarity(texts[number], texts[other])
            if likeness >= 0.8:  # found by the bands with probability 0.9999
                assert found[number] == found[other]
            elif number // 4 != other // 4:
                assert found[number] != found[other]


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


def test_datasketch_agrees_on_the_similarity() -> None:
    draw = random.Random(2)
    words = [str(draw.randrange(1000)) for _ in range(400)]
    one, other = " ".join(words[:350]), " ".join(words[50:])
    sketches = []
    for text in (one, other):
        sketch = datasketch.MinHash(num_perm=512)
        sketch.update_batch([" ".join(shingle).encode() for shingle in plain_shingles(text)])
        sketches.append(sketch)
    assert sketches[0].jaccard(sketches[1]) == pytest.approx(similarity(shingles_of(one), shingles_of(other)), abs=0.08)
