"""SPDX licence expressions against the policy `permissive.json`: is what an expression asks for permissive?

`A OR B` is permissive when one side is, `A AND B` when both are, `A WITH exception` when A is. What is not in the
policy, or cannot be read, is not permissive. Grammar: SPDX specification 2.3, annex D.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from itertools import chain

_TOKEN = re.compile(r"\(|\)|[^\s()]+")


@cache
def policy() -> tuple[str, dict[str, str]]:
    """The policy's name with its version, and its identifiers by their lower-case form."""
    table = json.loads(files("starloom.data.licences").joinpath("permissive.json").read_text(encoding="utf-8"))
    return f"{table['name']}-{table['version']}", {identifier.casefold(): identifier for identifier in table["identifiers"]}


def is_permissive(expression: str | None) -> bool:
    """Whether everything that `expression` demands is permissive; False for None and for what cannot be read."""
    if not expression:
        return False
    tokens = _TOKEN.findall(expression)
    try:
        value, rest = _either(tokens)
    except (IndexError, RecursionError):
        return False
    return value and not rest


def conjunction(expressions: list[str]) -> str:
    """One expression that demands all of `expressions`, each part once, in the order given."""
    plain = (expression.split(" AND ") if _is_plain(expression) else [expression] for expression in expressions)
    parts = [part for part in dict.fromkeys(chain.from_iterable(plain)) if part]
    if len(parts) == 1:
        return parts[0]
    return " AND ".join(f"({part})" if " OR " in part.upper() else part for part in parts)


def _is_plain(expression: str) -> bool:
    return "(" not in expression and " OR " not in expression.upper()


def _either(tokens: list[str]) -> tuple[bool, list[str]]:
    value, rest = _both(tokens)
    while rest and rest[0].upper() == "OR":
        other, rest = _both(rest[1:])
        value = value or other
    return value, rest


def _both(tokens: list[str]) -> tuple[bool, list[str]]:
    value, rest = _one(tokens)
    while rest and rest[0].upper() == "AND":
        other, rest = _one(rest[1:])
        value = value and other
    return value, rest


def _one(tokens: list[str]) -> tuple[bool, list[str]]:
    if tokens[0] == "(":
        value, rest = _either(tokens[1:])
        if rest[0] != ")":
            raise IndexError("a bracket is not closed")
        return value, rest[1:]
    if tokens[0] == ")" or tokens[0].upper() in ("AND", "OR", "WITH"):
        raise IndexError("an identifier is missing")
    rest = tokens[1:]
    if rest and rest[0].upper() == "WITH":
        rest[1]  # the exception's name must be there; it only ever adds permissions
        rest = rest[2:]
    return tokens[0].removesuffix("+").casefold() in policy()[1], rest
