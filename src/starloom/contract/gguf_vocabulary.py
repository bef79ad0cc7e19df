"""Reads the vocabulary inside a GGUF file, and the contract that we put beside it. Knows nothing of tensors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from starloom.contract.json_vocabulary import pair_of
from starloom.contract.vocabulary import Vocabulary
from starloom.core.errors import FormatError
from starloom.core.gguf_header import read_header

T = TypeVar("T")

CONTRACT_KEY = "starloom.contract"
"""The metadata key whose text is the same JSON as in `contract.json`."""

_NORMAL, _CONTROL = 1, 3
"""The types of token in `tokenizer.ggml.token_type` that we use, out of llama.cpp's six."""


@dataclass(frozen=True)
class GgufVocabulary:
    """What the contract needs of a GGUF file; `contract` is None in files that carry none."""

    vocabulary: Vocabulary
    contract: str | None


def read_gguf_vocabulary(path: Path) -> GgufVocabulary:
    """Read the metadata of `path`. Raises `FormatError` when it is damaged or its tokenizer is of another kind."""
    metadata = read_header(path).metadata
    try:
        return GgufVocabulary(_vocabulary(metadata), _contract(metadata))
    except FormatError as error:
        raise FormatError(f"'{path}': {error}") from None


def _vocabulary(metadata: dict[str, Any]) -> Vocabulary:
    for name, expected in (("model", "gpt2"), ("pre", "starcoder")):
        if (found := metadata.get(f"tokenizer.ggml.{name}")) != expected:
            raise FormatError(f"its 'tokenizer.ggml.{name}' is {found!r}; a StarCoder 2 tokenizer has {expected!r}")
    metadata = {"tokenizer.ggml.merges": [], **metadata}  # writers leave out an empty list
    tokens, types, merges = _list(metadata, "tokens", str), _list(metadata, "token_type", int), _list(metadata, "merges", str)
    if len(types) != len(tokens):
        raise FormatError(f"it holds {len(tokens)} tokens but {len(types)} token types")
    if unknown := set(types) - {_NORMAL, _CONTROL}:
        raise FormatError(f"it has tokens of type {min(unknown)}; supported are {_NORMAL} (normal) and {_CONTROL} (control)")
    special = frozenset(place for place, kind in enumerate(types) if kind == _CONTROL)
    return Vocabulary(tuple(tokens), tuple(map(pair_of, merges)), special)


def _list(metadata: dict[str, Any], name: str, kind: type[T]) -> list[T]:
    value = metadata.get(f"tokenizer.ggml.{name}")
    if not isinstance(value, list) or not all(type(item) is kind for item in value):
        raise FormatError(f"its 'tokenizer.ggml.{name}' is missing or no list of {kind.__name__}")
    return value


def _contract(metadata: dict[str, Any]) -> str | None:
    value = metadata.get(CONTRACT_KEY)
    if value is not None and not isinstance(value, str):
        raise FormatError(f"its '{CONTRACT_KEY}' is no text")
    return value
