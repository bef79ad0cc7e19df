"""`contract.json`: its fields, its version, and the refusal of everything else. Knows no tokenizer.

{"format": "starloom-contract", "version": 1,
 "tokenizer": "<fingerprint>",              SHA-256 of the vocabulary
 "order": "spm",                            the order of fill-in prompts unless asked otherwise
 "tokens": {"<|endoftext|>": 0, ...},       the special tokens that layouts are made of
 "stops": ["<|endoftext|>", "<file_sep>"]}  those at which a completion ends
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Self, cast

from starloom.contract.layouts import Order
from starloom.core.errors import FormatError

CONTRACT_FILE = "contract.json"
FORMAT, VERSION = "starloom-contract", 1
_FIELDS = ("tokenizer", "order", "tokens", "stops")


@dataclass(frozen=True)
class ContractFile:
    """The content of a `contract.json` of version 1."""

    tokenizer: str
    order: Order
    tokens: dict[str, int]
    stops: tuple[str, ...]

    def to_json(self) -> str:
        """The text of the file."""
        content = {"format": FORMAT, "version": VERSION, **vars(self), "stops": list(self.stops)}
        return json.dumps(content, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the text of the file. Raises `FormatError` naming what is wrong with it."""
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise FormatError(f"the contract is damaged, truncated or not JSON: {error}") from None
        _check_kind(content)
        _check_fields(content)
        return cls(content["tokenizer"], cast(Order, content["order"]), content["tokens"], tuple(content["stops"]))


def _check_kind(content: Any) -> None:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise FormatError(f'the contract does not say "format": "{FORMAT}"')
    version = content.get("version")
    if type(version) is not int or version != VERSION:
        raise FormatError(
            f"the contract is of version {version!r}; this Starloom knows version {VERSION}: a newer one may read it"
        )


def _check_fields(content: dict[str, Any]) -> None:
    if unknown := content.keys() - {"format", "version", *_FIELDS}:
        raise FormatError(f"the contract has the unknown field '{min(unknown)}'; known are {', '.join(_FIELDS)}")
    if missing := set(_FIELDS) - content.keys():
        raise FormatError(f"the contract has no field '{min(missing)}'")
    if content["order"] not in ("psm", "spm"):
        raise FormatError(f"the contract's order is {content['order']!r}; it must be 'psm' or 'spm'")
    tokens, stops = content["tokens"], content["stops"]
    if not isinstance(tokens, dict) or not all(type(place) is int for place in tokens.values()):
        raise FormatError("the contract's tokens must be a table of token and id")
    if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
        raise FormatError("the contract's stops must be a list of tokens")
