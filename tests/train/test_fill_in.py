from __future__ import annotations

import numpy as np
import pytest

from starloom.contract.contract import Contract, SourceFile
from starloom.contract.tokenizer import Tokenizer
from starloom.contract.tokens import END_OF_TEXT, FILE_SEP, FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX
from starloom.train.config import FillInConfig
from starloom.train.fill_in import FillIn

ALWAYS = FillInConfig(repository_rate=1.0, file_rate=1.0)


def _text(contract: Contract, ids: list[int]) -> bytes:
    """The text of a fill-in sequence, its parts put back in order."""
    special = contract.tokenizer.special_ids
    prefix, suffix, middle = (special[name] for name in (FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE))
    decode = contract.tokenizer.decode_bytes
    if middle not in ids:
        return decode(ids)
    assert ids[0] == prefix
    at_suffix, at_middle = ids.index(suffix), ids.index(middle)
    if at_suffix == 1:  # SPM: prefix and middle stand together at the end
        return decode(ids[at_middle + 1 :]) + decode(ids[at_suffix + 1 : at_middle])
    return decode(ids[1:at_suffix]) + decode(ids[at_middle + 1 :]) + decode(ids[at_suffix + 1 : at_middle])


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("spm_share", [0.0, 1.0])
def test_whole_files_keep_their_text_and_their_separators(
    files: list[SourceFile], tokenizer: Tokenizer, seed: int, spm_share: float
) -> None:
    contract = Contract(tokenizer)
    plain = np.array(contract.repository_ids(files[:2], repository=None) + [tokenizer.special_ids[END_OF_TEXT]] * 100)
    config = FillInConfig(
        repository_rate=1.0, file_rate=1.0, spm_share=spm_share, cuts={"characters": 1, "line_end": 1, "span": 1}
    )
    mixed = FillIn(contract, config)(plain, np.random.default_rng(seed)).tolist()
    separator, end = tokenizer.special_ids[FILE_SEP], tokenizer.special_ids[END_OF_TEXT]
    assert mixed[0] == separator
    border = mixed.index(separator, 1)
    parts = [mixed[1:border], mixed[border + 1 : mixed.index(end)]]
    for part, file in zip(parts, files, strict=False):
        is_spm = part[1] == tokenizer.special_ids[FIM_SUFFIX]
        assert _is_permutation(contract, part, str(file.text).encode(), is_spm)


def _is_permutation(contract: Contract, ids: list[int], text: bytes, is_spm: bool) -> bool:
    """In SPM the place where the prefix ends is not marked, so the parts are compared as suffix and rest."""
    special = contract.tokenizer.special_ids
    at_suffix, at_middle = ids.index(special[FIM_SUFFIX]), ids.index(special[FIM_MIDDLE])
    decode = contract.tokenizer.decode_bytes
    suffix = decode(ids[at_suffix + 1 : at_middle])
    rest = decode(ids[at_middle + 1 :]) if is_spm else decode(ids[1:at_suffix]) + decode(ids[at_middle + 1 :])
    return rest + suffix == text


def test_a_rate_of_zero_changes_nothing(files: list[SourceFile], tokenizer: Tokenizer) -> None:
    contract = Contract(tokenizer)
    plain = np.array(contract.repository_ids(files[:3], repository="team/repo"))
    for config in (FillInConfig(repository_rate=0.0, file_rate=1.0), FillInConfig(repository_rate=1.0, file_rate=0.0)):
        mixed = FillIn(contract, config)(plain, np.random.default_rng(0))
        assert mixed[: len(plain) - 8].tolist() == plain[: len(plain) - 8].tolist()


def test_repository_names_are_left_alone(files: list[SourceFile], tokenizer: Tokenizer) -> None:
    contract = Contract(tokenizer)
    plain = contract.repository_ids(files[:2], repository="some-team/with-a-long-repository-name")
    mixed = FillIn(contract, ALWAYS)(np.array(plain), np.random.default_rng(1)).tolist()
    head = plain.index(tokenizer.special_ids[FILE_SEP]) + 1
    assert mixed[:head] == plain[:head]


def test_a_window_inside_a_file_ends_its_middle(files: list[SourceFile], tokenizer: Tokenizer) -> None:
    contract = Contract(tokenizer)
    window = np.array(tokenizer.encode(str(files[0].text))[:200])
    for seed in range(30):
        mixed = FillIn(contract, ALWAYS)(window, np.random.default_rng(seed)).tolist()
        assert len(mixed) == len(window)
        body = [token for token in mixed if token != tokenizer.special_ids["<fim_pad>"]]
        assert body[-1] == tokenizer.special_ids[FILE_SEP]
        assert body.count(tokenizer.special_ids[FIM_MIDDLE]) == 1


def test_pieces_give_several_middles_and_lose_no_text(files: list[SourceFile], tokenizer: Tokenizer) -> None:
    contract = Contract(tokenizer)
    ids = tokenizer.encode("".join(str(file.text) for file in files))[:1000]
    window = np.array([*ids, *[tokenizer.special_ids[FILE_SEP]] * 60])
    config = FillInConfig(repository_rate=1.0, file_rate=1.0, spm_share=0.0, cuts={"line_end": 1}, shortest_piece=32)
    mixed = FillIn(contract, config)(window, np.random.default_rng(3)).tolist()
    separator = tokenizer.special_ids[FILE_SEP]
    parts: list[list[int]] = [[]]
    for token in mixed:
        parts[-1].append(token) if token != separator else parts.append([])
    assert sum(tokenizer.special_ids[FIM_MIDDLE] in part for part in parts) >= 3
    assert b"".join(_text(contract, part) for part in parts) == tokenizer.decode_bytes(ids)


def test_the_same_draws_give_the_same_window(files: list[SourceFile], tokenizer: Tokenizer) -> None:
    contract = Contract(tokenizer)
    window = np.array(contract.repository_ids(files[:4], repository="r"))
    fill_in = FillIn(contract, ALWAYS)
    first, again = (fill_in(window, np.random.default_rng(5)) for _ in range(2))
    assert first.tolist() == again.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_special_tokens_are_never_lost(files: list[SourceFile], tokenizer: Tokenizer, seed: int) -> None:
    contract = Contract(tokenizer)
    config = FillInConfig(repository_rate=1.0, file_rate=1.0, shortest_piece=16)
    end = tokenizer.special_ids[END_OF_TEXT]
    thread = tokenizer.encode_with_special(
        f"<issue_start>Title: It breaks\n{files[0].text}<issue_comment>username_1: no<|endoftext|>"
    )
    assert FillIn(contract, config)(np.array(thread), np.random.default_rng(seed)).tolist() == thread
    text = f"# ask <EMAIL> or <NAME>\n{files[1].text}"
    redacted = contract.repository_ids([SourceFile("a.py", text, (6,))], repository=None)
    mixed = FillIn(contract, config)(np.array(redacted + [end] * 100), np.random.default_rng(seed)).tolist()
    assert mixed.count(tokenizer.special_ids["<EMAIL>"]) == 1
    assert mixed.count(tokenizer.special_ids["<NAME>"]) == 0
    assert tokenizer.special_ids[FIM_MIDDLE] in mixed, "the other pieces are filled in"
