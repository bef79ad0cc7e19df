"""Fit what stands around a cursor into a model's context: the text nearest to the cursor stays, cut at line ends.

Deliberately simple: one file, nearest text first. Choosing from other files is a matter for editors' context.
"""

from __future__ import annotations

from starloom.contract.contract import Contract, Prompt
from starloom.contract.healing import split_touched
from starloom.contract.joining import stops_before
from starloom.contract.layouts import Order
from starloom.core.errors import InputError

_SUFFIX_SHARE = 0.3  # of the room, when neither side fits
_MARKS = 4  # the most special tokens that a layout of one file adds
_LONGEST_TOUCHED = 32  # a longer "word" is data, and not worth the room
_BYTES_A_TOKEN = 16  # more than code has on average: bounds how much text is tokenised at all


def fitted_prompt(
    contract: Contract, prefix: bytes, suffix: bytes, *, room: int, order: Order | None = None, heal: bool = True
) -> Prompt:
    """The prompt for the text between `prefix` and `suffix`, of at most `room` tokens, those of what it holds back among them.

    Without text behind the cursor it is left to right, else fill-in. Fill-in is trained on cuts within words, yet small
    models do better when the word that the cursor touches is held back (`heal`): the embedded one writes twice as many line
    ends exactly (its model card). It ends where `suffix` would begin again. Raises `InputError` when `room` is too small.
    """
    touched = b""
    if heal and suffix.strip():
        prefix, touched = split_touched(prefix)
        if len(touched) > _LONGEST_TOUCHED:
            prefix, touched = prefix + touched, b""
    space = room - _MARKS - len(touched)
    if space < 2:
        raise InputError(
            f"there is room for a prompt of {room} tokens only: ask for fewer tokens, or use a model with more positions"
        )
    if not suffix.strip():
        return contract.continue_prompt(_end_of(contract, prefix, space))
    before = _end_of(contract, prefix, space)
    after = _start_of(contract, suffix, max(int(space * _SUFFIX_SHARE), space - _num_tokens(contract, before)))
    before = _end_of(contract, before, space - _num_tokens(contract, after))
    return Prompt(contract.fill_in_prompt(before, after, order=order).ids, touched, stops_before(suffix))


def _num_tokens(contract: Contract, text: bytes) -> int:
    return len(contract.tokenizer.encode(text, unknown="replace"))


def _end_of(contract: Contract, text: bytes, space: int) -> bytes:
    """The last lines of `text` within `space` tokens; the cursor's own line is cut where even it does not fit."""
    text = text[max(0, len(text) - space * _BYTES_A_TOKEN) :]
    while (excess := _num_tokens(contract, text) - space) > 0:
        line_end = text.find(b"\n", excess)
        cut = line_end + 1 if 0 <= line_end < len(text) - 1 else excess
        text = text[cut:]
    return text


def _start_of(contract: Contract, text: bytes, space: int) -> bytes:
    """The first lines of `text` within `space` tokens; the first line is cut where even it does not fit."""
    text = text[: space * _BYTES_A_TOKEN]
    while (excess := _num_tokens(contract, text) - space) > 0:
        line_end = text.rfind(b"\n", 0, len(text) - excess)
        text = text[: line_end + 1] if line_end > 0 else text[: len(text) - excess]
    return text
