import datasketch
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starloom.data.duplicates import shingles as module
from starloom.data.duplicates import verification
from starloom.data.duplicates.shingles import Shingles, shingles_of
from starloom.data.duplicates.verification import similarities, verified


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


def sets(shingles: Shingles) -> list[list[int]]:
    return [part.tolist() for part in np.split(shingles.values, shingles.offsets[1:-1])] if len(shingles) else []


_texts = st.lists(st.text("abAB_ .\né", max_size=80), max_size=6)


@given(_texts)
def test_hashed_shingles_are_as_many_and_as_similar_as_the_words(texts: list[str]) -> None:
    found = shingles_of(texts, strip_heads=False)
    assert found.sizes.tolist() == [len(plain_shingles(text)) for text in texts]
    pairs = np.array([(one, other) for one in range(len(texts)) for other in range(one)], dtype=np.int64).reshape(-1, 2)
    expected = [plain_similarity(texts[one], texts[other]) for one, other in pairs.tolist()]
    assert similarities(pairs, found).tolist() == pytest.approx(expected)


@given(_texts)
def test_a_text_gives_the_same_in_any_company(texts: list[str]) -> None:
    assert sets(shingles_of(texts)) == [shingles_of([text]).values.tolist() for text in texts]


def test_pieces_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{'x' * number} b c {number} d e f g" * 3 for number in range(40)]
    whole = sets(shingles_of(texts))
    pairs = np.array([[0, 1], [2, 30], [5, 5], [39, 0]])
    similar = similarities(pairs, shingles_of(texts)).tolist()
    monkeypatch.setattr(module, "PIECE_BYTES", 64)
    monkeypatch.setattr(verification, "PIECE_SHINGLES", 8)
    assert sets(shingles_of(texts)) == whole
    assert similarities(pairs, shingles_of(texts)).tolist() == similar


def test_a_text_longer_than_a_piece() -> None:
    text = " ".join(map(str, range(100_000)))
    assert len(shingles_of([text]).values) == pytest.approx(99_996, abs=5)
    assert shingles_of(["x" * 1_000_000 + " b c d e"]).sizes.tolist() == [1]


def test_the_head_is_left_out_unless_nothing_else_is_there() -> None:
    head = "# " + "licence " * 3 + "word1 word2\n"
    body = "a b c d e f\n"
    headed, plain, only, whole = sets(shingles_of([head + body, body, head, head[2:]]))
    assert headed == plain
    assert only == whole != []
    assert shingles_of([head + body], strip_heads=False).sizes.tolist() == [len(plain_shingles(head + body))]


def test_text_that_is_not_text() -> None:
    assert shingles_of(["\0" * 50, "\udc80 a b c d", "", "a\0b\0c\0d\0e"]).sizes.tolist() == [0, 1, 0, 1]


def test_no_texts_at_all() -> None:
    assert len(shingles_of([])) == 0


def test_taken_and_joined() -> None:
    shingles = shingles_of(["a b c d e f", "", "g h i j k"])
    first, second, third = sets(shingles)
    assert sets(shingles.taken(np.array([2, 0, 1, 2]))) == [third, first, second, third]
    assert sets(Shingles.joined([shingles, shingles.taken(np.array([0]))])) == [first, second, third, first]


def test_verified_keeps_what_reaches_the_threshold() -> None:
    words = [f"w{number}" for number in range(30)]
    shingles = shingles_of([" ".join(words), " ".join(words[:26]), " ".join(words[10:])])
    ids = np.array([10, 20, 1 << 40])
    edges = np.array([[10, 20], [10, 1 << 40], [20, 1 << 40]])
    assert verified(edges, ids, shingles, 22 / 26).tolist() == [[10, 20]]
    assert verified(edges, ids, shingles, 0.6).tolist() == [[10, 20], [10, 1 << 40]]
    assert verified(edges[:0], ids, shingles).tolist() == []


def test_datasketch_agrees_on_the_similarity() -> None:
    words = [str(number * 7919 % 1000) for number in range(400)]
    texts = [" ".join(words[:350]), " ".join(words[50:])]
    sketches = []
    for text in texts:
        sketch = datasketch.MinHash(num_perm=512)
        sketch.update_batch([" ".join(shingle).encode() for shingle in plain_shingles(text)])
        sketches.append(sketch)
    exact = similarities(np.array([[0, 1]]), shingles_of(texts))[0]
    assert sketches[0].jaccard(sketches[1]) == pytest.approx(exact, abs=0.08)
