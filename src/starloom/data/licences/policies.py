"""Named, versioned lists of what may be kept: `policies/NAME.json`, and how a licence expression stands against one.

`A OR B` is as good as its better side, `A AND B` as its worse one, `A WITH exception` as A when SPDX knows the exception. Neutral
identifiers (contributor agreements, disclaimers) neither allow nor forbid. What is not in the policy, or cannot be read, is bad.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Literal

from starloom.core.errors import SettingsError
from starloom.data.licences.expressions import Both, Either, Expression, WithException, parse

Standing = Literal["permissive", "neutral", "bad"]
_ORDER: tuple[Standing, ...] = ("bad", "neutral", "permissive")


@dataclass(frozen=True)
class Policy:
    """`name` with its version; the identifiers that it names, in lower case and (`identifiers`) as they are spelled."""

    name: str
    identifiers: tuple[str, ...]
    permissive: frozenset[str]
    neutral: frozenset[str]
    exceptions: frozenset[str]
    _known: dict[str, Standing] = field(default_factory=dict, repr=False, compare=False)

    def standing(self, expression: str) -> Standing:
        """How `expression` stands; `bad` for what cannot be read. Remembers its answers."""
        if expression not in self._known:
            tree = parse(expression)
            self._known[expression] = "bad" if tree is None else self._of(tree)
        return self._known[expression]

    def _of(self, tree: Expression) -> Standing:
        match tree:
            case Either(parts):
                return max(map(self._of, parts), key=_ORDER.index)
            case Both(parts):
                found = set(map(self._of, parts))
                return "bad" if "bad" in found else "permissive" if "permissive" in found else "neutral"
            case WithException(licence, exception):
                return self._of(licence) if exception.casefold() in self.exceptions else "bad"
        identifier = tree.removesuffix("+").casefold()
        return "permissive" if identifier in self.permissive else "neutral" if identifier in self.neutral else "bad"


def policy_names() -> list[str]:
    """The policies that come with the package."""
    folder = files("starloom.data.licences").joinpath("policies")
    return sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json"))


@cache
def open_policy(name: str = "permissive") -> Policy:
    """The policy `name`. Raises `SettingsError` for one that does not exist."""
    if name not in policy_names():
        raise SettingsError(f"there is no licence policy '{name}'; there are {', '.join(policy_names())}")
    table = json.loads(files("starloom.data.licences").joinpath(f"policies/{name}.json").read_text(encoding="utf-8"))
    permissive, neutral, exceptions = (
        frozenset(map(str.casefold, table[key])) for key in ("permissive", "neutral", "exceptions")
    )
    spelled = (*table["permissive"], *table["neutral"], *table["exceptions"])
    return Policy(f"{table['name']}-{table['version']}", spelled, permissive, neutral, exceptions)


def is_permissive(expression: str | None, policy: Policy | None = None) -> bool:
    """Whether all that `expression` demands is permissive; False for None and for what cannot be read."""
    return bool(expression) and (policy or open_policy()).standing(expression or "") == "permissive"
