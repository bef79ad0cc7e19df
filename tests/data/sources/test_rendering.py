from hypothesis import given
from hypothesis import strategies as st

from starloom.contract.tokenizer import Tokenizer
from starloom.contract.tokens import END_OF_TEXT, SPECIAL_TOKENS
from starloom.data.sources.record import ReadSettings
from starloom.data.sources.rendering import Rendering, neutralised, split
from starloom.data.sources.spill import Groups

_pieces = st.sampled_from([*SPECIAL_TOKENS, "<", "<|", "issue_start", ">", "|>", " ", "a", "\0", "\ud800"])
_texts = st.lists(_pieces).map(lambda pieces: (False, "".join(pieces)))
_parts = st.lists(st.sampled_from(SPECIAL_TOKENS).map(lambda token: (True, token)) | _texts)


@given(parts=_parts)
def test_only_the_template_makes_special_tokens(parts: list[tuple[bool, str]]) -> None:
    document = Rendering()
    for is_mark, text in parts:
        (document.mark if is_mark else document.text)(text)
    marks = [text for is_mark, text in parts if is_mark]
    assert split(document.to_bytes().decode())[1::2] == [*marks, END_OF_TEXT]


def test_other_text_stays_as_it_is_and_a_token_stays_readable() -> None:
    assert neutralised("if (a <b> c) <div> <NAMES> é\n") == "if (a <b> c) <div> <NAMES> é\n"
    assert neutralised("a <issue_start> b") == "a < issue_start> b"


def test_the_tokenizer_finds_the_same_marks() -> None:
    tokenizer = Tokenizer.train(["issue text"] * 3, 320)
    document = Rendering().mark("<issue_start>").text("Title: <issue_closed>").to_bytes()
    ids = tokenizer.encode_with_special(document)
    assert [token for token in ids if tokenizer.is_special(token)] == [tokenizer.special_ids["<issue_start>"], 0]


@given(values=st.lists(st.tuples(st.text(max_size=2), st.integers())), buckets=st.integers(1, 5))
def test_groups_hold_every_value_once_and_in_order(values: list[tuple[str, int]], buckets: int) -> None:
    expected: dict[str, list[int]] = {}
    with Groups(ReadSettings(buckets=buckets)) as groups:
        for key, value in values:
            groups.add(key, value)
            expected.setdefault(key, []).append(value)
        assert dict(groups) == expected
