"""How parts of code become one sequence: fill-in in both orders, files, repositories. Pure functions on lists of ids.

Written with <fp> <fs> <fm> for the three fill-in tokens and <sep> for <file_sep> (specification §3.2):

    psm         <fp> P <fs> S <fm> M
    spm         <fp><fs> S <fm> P M
    repository  <repo_name> R <sep> file <sep> file ... <|endoftext|>      or, without its name, <sep> file <sep> file ...

The parts come as ids because each is tokenised for itself: a newline and the indentation behind it are one token, and
tokenising a joined text would put such tokens across a cut. A prompt is a training sequence that stops early, so
both are made by the same function here. Knows nothing of text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal, Self, TypeAlias, get_args

from starloom.contract import tokens
from starloom.contract.tokenizer import Tokenizer
from starloom.core.errors import FormatError, SettingsError

Order: TypeAlias = Literal["psm", "spm"]


@dataclass(frozen=True)
class Marks:
    """The ids of the special tokens that layouts are made of; each field is named after its token."""

    end_of_text: int
    fim_prefix: int
    fim_middle: int
    fim_suffix: int
    fim_pad: int
    repo_name: int
    file_sep: int

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Self:
        """Look them up. Raises `FormatError` naming those that the vocabulary lacks."""
        if missing := [text for text in MARK_TEXTS.values() if text not in tokenizer.special_ids]:
            raise FormatError(f"this tokenizer has no {', '.join(missing)}: it is not one for StarCoder 2 prompts")
        return cls(**{name: tokenizer.special_ids[text] for name, text in MARK_TEXTS.items()})


MARK_TEXTS = {field.name: str(getattr(tokens, field.name.upper())) for field in fields(Marks)}
"""The text of each mark by its field's name."""


def check_order(order: str) -> None:
    """Raise `SettingsError` when there is no such order."""
    if order not in get_args(Order):
        raise SettingsError(f"order is {order!r}; it must be one of {', '.join(map(repr, get_args(Order)))}")


def fill_in_start(marks: Marks, prefix: Sequence[int], suffix: Sequence[int], order: Order) -> list[int]:
    """All of a fill-in that stands before its middle: the prompt. Raises `SettingsError` for an unknown order."""
    check_order(order)
    if order == "psm":
        return [marks.fim_prefix, *prefix, marks.fim_suffix, *suffix, marks.fim_middle]
    return [marks.fim_prefix, marks.fim_suffix, *suffix, marks.fim_middle, *prefix]


def fill_in(marks: Marks, prefix: Sequence[int], middle: Sequence[int], suffix: Sequence[int], order: Order) -> list[int]:
    """A whole fill-in fragment. Nothing ends it: the next <file_sep> or <|endoftext|> does."""
    return [*fill_in_start(marks, prefix, suffix, order), *middle]


def repository_start(marks: Marks, name: Sequence[int] | None, files: Sequence[Sequence[int]]) -> list[int]:
    """A repository's name (unless None) and the files that stand before the current one, without their end."""
    ids = [] if name is None else [marks.repo_name, *name]
    for file in files:
        ids += [marks.file_sep, *file]
    return ids


def repository(marks: Marks, name: Sequence[int] | None, files: Sequence[Sequence[int]]) -> list[int]:
    """A whole repository sequence."""
    return [*repository_start(marks, name, files), marks.end_of_text]
