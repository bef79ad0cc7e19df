"""Reads the vocabulary inside a GGUF file, and the contract that we put beside it. Knows nothing of tensors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf

from starloom.contract.json_vocabulary import pair_of
from starloom.contract.vocabulary import Vocabulary
from starloom.core.errors import FormatError

CONTRACT_KEY = "starloom.contract"
"""The metadata key whose text is the same JSON as in `contract.json`."""

_NORMAL, _CONTROL = int(gguf.TokenType.NORMAL), int(gguf.TokenType.CONTROL)


@dataclass(frozen=True)
class GgufHeader:
    """What the contract needs of a GGUF file's metadata."""

    vocabulary: Vocabulary
    contract: str | None


def read_gguf_header(path: Path) -> GgufHeader:
    """Read the metadata of `path`. Raises `FormatError` when it is damaged or its tokenizer is of another kind."""
    try:
        fields = {name: field.contents() for name, field in gguf.GGUFReader(path).fields.items() if _is_wanted(name)}
    except Exception as error:  # the reader checks no lengths, so damage shows as any error at all
        raise FormatError(f"'{path}' is damaged, truncated or no GGUF file ({type(error).__name__}: {error})") from None
    try:
        return GgufHeader(_vocabulary(fields), fields.get(CONTRACT_KEY))
    except FormatError as error:
        raise FormatError(f"'{path}': {error}") from None


def _is_wanted(name: str) -> bool:
    return name.startswith("tokenizer.ggml.") or name == CONTRACT_KEY


def _vocabulary(fields: dict[str, Any]) -> Vocabulary:
    for name, expected in (("model", "gpt2"), ("pre", "starcoder")):
        if (found := fields.get(f"tokenizer.ggml.{name}")) != expected:
            raise FormatError(f"its 'tokenizer.ggml.{name}' is {found!r}; a StarCoder 2 tokenizer has {expected!r}")
    tokens, types, merges = (_texts(fields, name) for name in ("tokens", "token_type", "merges"))
    if len(types) != len(tokens):
        raise FormatError(f"it holds {len(tokens)} tokens but {len(types)} token types")
    if unknown := set(types) - {_NORMAL, _CONTROL}:
        raise FormatError(f"it has tokens of type {min(unknown)}; supported are {_NORMAL} (normal) and {_CONTROL} (control)")
    special = frozenset(place for place, kind in enumerate(types) if kind == _CONTROL)
    return Vocabulary(tuple(tokens), tuple(map(pair_of, merges)), special)


def _texts(fields: dict[str, Any], name: str) -> list[Any]:
    value = fields.get(f"tokenizer.ggml.{name}")
    if not isinstance(value, list):
        raise FormatError(f"it holds no list 'tokenizer.ggml.{name}'")
    return value
