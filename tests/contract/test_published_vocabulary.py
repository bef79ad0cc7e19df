"""The published StarCoder2 vocabulary and the test vectors that stand beside it."""

from pathlib import Path

import pytest

from starloom.contract.tokenizer import Tokenizer
from starloom.contract.tokens import SPECIAL_TOKENS
from starloom.core.errors import InputError


def _vectors(path: Path) -> list[tuple[str, list[int]]]:
    texts = path.with_name(path.name + ".inp").read_bytes().decode().split("\n__ggml_vocab_test__\n")
    lines = path.with_name(path.name + ".out").read_text().split("\n")
    expected = [[int(token) for token in line.split()] for line in lines]
    return list(zip(texts, expected, strict=True))


def test_all_vectors(published: Tokenizer, published_path: Path) -> None:
    """None of the vectors needs a byte that the vocabulary lacks, so none needs unknown='replace'."""
    vectors = _vectors(published_path)
    assert len(vectors) == 47
    for text, expected in vectors:
        assert published.encode(text) == expected
        assert published.decode(expected) == text
    assert published.encode_batch([text for text, _ in vectors]) == [expected for _, expected in vectors]


def test_shape(published: Tokenizer) -> None:
    assert published.vocab_size == 49152
    assert published.tokens[:38] == SPECIAL_TOKENS
    assert list(published.special_ids.values()) == list(range(38))
    assert published.missing_bytes == frozenset({0xC0, 0xC1, 0xF1, *range(0xF5, 0x100)})


def test_a_byte_it_lacks_is_never_lost_silently(published: Tokenizer) -> None:
    with pytest.raises(InputError, match="byte 0xF1 at offset 3 is not in this vocabulary"):
        published.encode("aß\U000522f4")
    with pytest.raises(InputError, match="byte 0xFF at offset 1"):
        published.encode(b"a\xff")
    for text in ("a\U000522f4b", b"a\xffb"):
        assert published.decode(published.encode(text, unknown="replace")) == "a\ufffdb"
    assert published.decode_bytes(published.encode(b"a\x80b")) == b"a\x80b"


def test_saved_as_json_it_is_the_same(published: Tokenizer, tmp_path: Path) -> None:
    published.save(tmp_path)
    again = Tokenizer.open(tmp_path)
    assert again.fingerprint == published.fingerprint
    assert again.encode("def f(x):\n    return 42\n") == published.encode("def f(x):\n    return 42\n")
