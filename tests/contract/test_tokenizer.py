from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starloom.contract.tokenizer import SMALLEST, Tokenizer
from starloom.contract.tokens import SPECIAL_TOKENS
from starloom.core.errors import InputError, SettingsError

SNIPPETS = st.sampled_from(
    [
        *SPECIAL_TOKENS,
        "<fim_",
        "middle>",
        "<|",
        "|>",
        "<",
        ">",
        "endoftext",
        "\r\n",
        "\n    ",
        " ",
        "7",
        "é",
        "日本",
        "\x00",
        "😀",
    ]
)
NASTY = st.lists(SNIPPETS | st.text(max_size=5), max_size=12).map("".join)


def test_special_tokens_and_bytes_stand_at_their_ids(tokenizer: Tokenizer) -> None:
    assert len(SPECIAL_TOKENS) == 38
    assert tokenizer.tokens[:38] == SPECIAL_TOKENS
    assert list(tokenizer.special_ids.values()) == list(range(38))
    assert {tokenizer.token_bytes[place] for place in range(38, 294)} == {bytes([byte]) for byte in range(256)}
    assert tokenizer.missing_bytes == frozenset()


def test_each_merge_makes_the_next_token(tokenizer: Tokenizer) -> None:
    assert tokenizer.vocab_size == 400
    made = [merge.replace(" ", "") for merge in tokenizer.merges]
    assert list(dict.fromkeys(made)) == list(tokenizer.tokens[294:])


def test_training_is_deterministic(tokenizer: Tokenizer, texts: list[str], tmp_path: Path) -> None:
    again = Tokenizer.train(iter(texts), 400)
    assert again.fingerprint == tokenizer.fingerprint
    tokenizer.save(tmp_path / "a")
    again.save(tmp_path / "b")
    assert (tmp_path / "a" / "tokenizer.json").read_bytes() == (tmp_path / "b" / "tokenizer.json").read_bytes()


def test_training_refuses_what_it_cannot_do() -> None:
    with pytest.raises(SettingsError, match="at least 294"):
        Tokenizer.train([], SMALLEST - 1)
    with pytest.raises(InputError, match="text 1 holds lone surrogates"):
        Tokenizer.train(["fine", "\ud800"], 300)


def test_digits_stand_alone(tokenizer: Tokenizer) -> None:
    assert [tokenizer.decode([token]) for token in tokenizer.encode("1234")] == ["1", "2", "3", "4"]


def test_special_texts_in_the_training_data_teach_nothing() -> None:
    tokenizer = Tokenizer.train(["<fim_middle><|endoftext|>" * 50], 330)
    assert not any(tokenizer.is_special(token) for token in tokenizer.encode("<fim_middle><|endoftext|>"))


@given(data=st.binary(max_size=200))
def test_any_bytes_come_back(tokenizer: Tokenizer, smallest: Tokenizer, data: bytes) -> None:
    for each in (tokenizer, smallest):
        assert each.decode_bytes(each.encode(data)) == data


@given(text=NASTY)
def test_text_never_becomes_a_special_token(tokenizer: Tokenizer, smallest: Tokenizer, text: str) -> None:
    for each in (tokenizer, smallest):
        ids = each.encode(text)
        assert not any(map(each.is_special, ids))
        assert each.decode(ids) == text
        assert each.encode_batch([text, text.encode()]) == [ids, ids]


@given(text=NASTY)
def test_the_published_vocabulary_keeps_text_apart_too(published: Tokenizer, text: str) -> None:
    ids = published.encode(text, unknown="replace")
    assert not any(map(published.is_special, ids))


@given(data=st.binary(max_size=60))
def test_text_and_escaped_text_are_the_same(tokenizer: Tokenizer, data: bytes) -> None:
    assert tokenizer.encode(data.decode(errors="surrogateescape")) == tokenizer.encode(data)


@given(text=NASTY)
def test_encode_with_special_reads_what_decode_writes(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode_with_special(text)
    assert tokenizer.decode(ids, special=True) == text
    assert tokenizer.encode_with_special(tokenizer.decode(ids, special=True)) == ids


def test_encode_with_special_joins_both_kinds(tokenizer: Tokenizer) -> None:
    special = tokenizer.special_ids
    ids = tokenizer.encode_with_special(b"<fim_prefix>a\xff<fim_middle><file_sep")
    assert ids == [special["<fim_prefix>"], *tokenizer.encode(b"a\xff"), special["<fim_middle>"], *tokenizer.encode("<file_sep")]


def test_lone_surrogates_are_refused_or_replaced(tokenizer: Tokenizer) -> None:
    with pytest.raises(InputError, match=r"character 2 is the lone surrogate U\+D83D"):
        tokenizer.encode("ab\ud83d")
    assert tokenizer.decode(tokenizer.encode("ab\ud83dc", unknown="replace")) == "ab\ufffdc"


def test_decoding(tokenizer: Tokenizer) -> None:
    ids = [tokenizer.special_ids["<file_sep>"], *tokenizer.encode("x\r\n")]
    assert tokenizer.decode_bytes(ids) == b"x\r\n"
    assert tokenizer.decode_bytes(np.array(ids), special=True) == b"<file_sep>x\r\n"
    assert tokenizer.decode(tokenizer.encode(b"\xff")) == "\ufffd"
    assert tokenizer.decode([]) == ""


@pytest.mark.parametrize("outside", [-1, 400, 10**9])
def test_an_id_outside_the_vocabulary_is_refused(tokenizer: Tokenizer, outside: int) -> None:
    with pytest.raises(InputError, match=f"id {outside} is outside the vocabulary: ids go from 0 to 399"):
        tokenizer.decode_bytes([0, outside])


def test_the_smallest_tokenizer_spells_bytes(smallest: Tokenizer) -> None:
    assert smallest.vocab_size == 294
    assert smallest.merges == []
    assert len(smallest.encode("größer")) == len("größer".encode())
