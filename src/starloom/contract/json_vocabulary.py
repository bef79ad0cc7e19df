"""Reads the vocabulary of a `tokenizer.json`, and refuses every recipe that is not StarCoder 2's.

The file describes a whole pipeline; we run our own (see `tokenizer`), so a pipeline that differs must be an error
here and not different ids later.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starloom.contract.vocabulary import Vocabulary
from starloom.core.errors import FormatError

_LIMIT = 256 * 2**20
"""No tokenizer.json is larger than this many bytes; a file that is cannot be one."""


def read_json_vocabulary(path: Path) -> Vocabulary:
    """Read `path`. Raises `FormatError` when it is damaged or describes another kind of tokenizer."""
    content = read_object(path, _LIMIT)
    try:
        _check_pipeline(content)
        return _vocabulary(content)
    except FormatError as error:
        raise FormatError(f"'{path}': {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(f"'{path}' is no tokenizer.json of a byte-level BPE ({type(error).__name__}: {error})") from None


def read_object(path: Path, limit: int) -> dict[str, Any]:
    """The JSON object in the file `path`. Raises `FormatError` when it is not one or is above `limit` bytes."""
    if path.stat().st_size > limit:
        raise FormatError(f"'{path}' has {path.stat().st_size:,} bytes; a file of this kind has at most {limit:,}")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise FormatError(f"'{path}' is damaged, truncated or not JSON: {error}") from None
    if not isinstance(content, dict):
        raise FormatError(f"'{path}' holds no JSON object")
    return content


def _vocabulary(content: Mapping[str, Any]) -> Vocabulary:
    ids: dict[str, int] = dict(content["model"]["vocab"])
    special = set()
    for added in content.get("added_tokens") or []:
        if not added["special"]:
            raise FormatError(f"added token {added['content']!r} is not special; only special added tokens are supported")
        if ids.setdefault(added["content"], added["id"]) != added["id"]:
            raise FormatError(f"token {added['content']!r} has two ids, {ids[added['content']]} and {added['id']}")
        special.add(added["id"])
    tokens = sorted(ids, key=ids.__getitem__)
    if [ids[token] for token in tokens] != list(range(len(tokens))):
        raise FormatError(f"the ids of its {len(tokens)} tokens are not 0 to {len(tokens) - 1}, each once")
    return Vocabulary(tuple(tokens), tuple(map(pair_of, content["model"]["merges"])), frozenset(special))


def pair_of(merge: Any) -> tuple[str, str]:
    """A merge as a pair, from `"a b"` or `["a", "b"]`. Raises `FormatError`."""
    parts = merge.split(" ") if isinstance(merge, str) else merge
    if not (isinstance(parts, list) and len(parts) == 2 and all(isinstance(part, str) and part for part in parts)):
        raise FormatError(f"merge {merge!r} is not a pair of tokens")
    return parts[0], parts[1]


def _check_pipeline(content: Mapping[str, Any]) -> None:
    model = content["model"]
    if model.get("type", "BPE") != "BPE":
        raise FormatError(f"its model is {model.get('type')!r}; it must be 'BPE'")
    for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges"):
        if model.get(name):
            raise FormatError(f"its model sets '{name}' to {model[name]!r}; a StarCoder 2 tokenizer does not")
    if content.get("normalizer") is not None:
        raise FormatError("it has a normaliser; a StarCoder 2 tokenizer has none")
    if not _is_ours(content.get("pre_tokenizer")):
        raise FormatError("its pre-tokeniser is not Sequence[Digits(individual), ByteLevel(no prefix space, GPT-2 rule)]")
    if (decoder := content.get("decoder") or {"type": "ByteLevel"})["type"] != "ByteLevel":
        raise FormatError(f"its decoder is {decoder['type']!r}; it must be 'ByteLevel'")
    if _adds_tokens(content.get("post_processor")):
        raise FormatError("its post-processor may add tokens to a text; a StarCoder 2 tokenizer adds none")


def _adds_tokens(post_processor: Any) -> bool:
    """Whether it is more than what `tokenizers` (ByteLevel) and `transformers` (an empty template) write by default."""
    if post_processor is None or post_processor["type"] == "ByteLevel":
        return False
    return post_processor["type"] != "TemplateProcessing" or [*map(list, post_processor["single"])] != [["Sequence"]]


def _is_ours(pre_tokenizer: Any) -> bool:
    if not isinstance(pre_tokenizer, dict) or pre_tokenizer.get("type") != "Sequence":
        return False
    parts = pre_tokenizer["pretokenizers"]
    if [part["type"] for part in parts] != ["Digits", "ByteLevel"]:
        return False
    digits, level = parts
    return digits["individual_digits"] is True and level["add_prefix_space"] is False and level.get("use_regex", True) is True
