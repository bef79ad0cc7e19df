"""SPDX licence expressions: read (by the library license-expression), joined, compared. Knows no policy and no licence.

Grammar: SPDX specification 2.3, annex D.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import chain
from typing import Any

from starloom.core.errors import require

UNKNOWN = "LicenseRef-Unknown"
_CHARACTERS = re.compile(r" *[A-Za-z0-9.+:()-][A-Za-z0-9.+:() -]*")
_ACCIDENTS = (IndexError, TypeError, AssertionError)  # of the library, for some texts that are no expressions
LONGEST = 10_000  # characters; no honest expression is longer


@dataclass(frozen=True, slots=True)
class Either:
    """One of `parts` is enough."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Both:
    """All `parts` hold."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class WithException:
    """`licence` with additional permissions."""

    licence: str
    exception: str


Expression = str | Either | Both | WithException


@cache
def _library() -> tuple[Any, Any]:
    library = require("license_expression", "data")
    return library, library.Licensing()


@lru_cache(maxsize=100_000)
def parse(expression: str) -> Expression | None:
    """The tree of `expression`; None when it is not one."""
    if len(expression) > LONGEST or not _CHARACTERS.fullmatch(expression):
        return None
    library, licensing = _library()
    try:
        tree = licensing.parse(expression)
        return _tree(tree, library, licensing)
    except (library.ExpressionError, library.ParseError, RecursionError, ValueError, *_ACCIDENTS):
        return None


def _tree(node: Any, library: Any, licensing: Any) -> Expression:
    if isinstance(node, licensing.OR):
        return Either(tuple(_tree(part, library, licensing) for part in node.args))
    if isinstance(node, licensing.AND):
        return Both(tuple(_tree(part, library, licensing) for part in node.args))
    if isinstance(node, library.LicenseWithExceptionSymbol):
        return WithException(_identifier(node.license_symbol), _identifier(node.exception_symbol))
    return _identifier(node)


def _identifier(symbol: Any) -> str:
    key = str(symbol.key)
    if " " in key:
        raise ValueError(f"'{key}' is not one identifier")
    return key


def identifiers(expression: str) -> frozenset[str]:
    """The licences that `expression` names, without exceptions; empty for what cannot be read."""
    tree = parse(expression)
    return frozenset() if tree is None else frozenset(_leaves(tree))


def _leaves(tree: Expression) -> Iterable[str]:
    match tree:
        case Either(parts) | Both(parts):
            return chain.from_iterable(map(_leaves, parts))
        case WithException(licence, _):
            return (licence,)
    return (tree,)


def offers_choice(expression: str) -> bool:
    """Whether `expression` is an alternative as a whole: one of its sides is enough."""
    return isinstance(parse(expression), Either)


def conjunction(expressions: Iterable[str]) -> str:
    """One expression that demands all of `expressions`, each part once, in the order given."""
    plain = (expression.split(" AND ") if _is_plain(expression) else [expression] for expression in expressions)
    parts = [part for part in dict.fromkeys(chain.from_iterable(plain)) if part]
    if len(parts) == 1:
        return parts[0]
    return " AND ".join(f"({part})" if " OR " in part.upper() else part for part in parts)


def _is_plain(expression: str) -> bool:
    return "(" not in expression and " OR " not in expression.upper()
