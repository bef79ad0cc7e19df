"""How much of each language and source goes into training: weights, caps, and for each file how many times it is taken.

    copies of a file = weight of its language x weight of its source x what the caps leave, rounded down or up at random

The random part comes from the file's id and the seed alone. So raising a cap adds files to those taken before and exchanges
none, and it does not matter in which order or on which machine they are asked for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from starloom.core.errors import SettingsError
from starloom.data.linguist import canonical
from starloom.data.orders import draw

GB = 10**9

STACK_V2_CAPS: Mapping[str, int] = MappingProxyType(
    {
        "Java": 200 * GB,
        "JavaScript": 200 * GB,
        "HTML": 100 * GB,
        "CSS": 8 * GB,
        "JSON": 8 * GB,
        "XML": 8 * GB,
        "YAML": 8 * GB,
    }
)
"""What StarCoder 2 took at most of a language, in bytes (paper, section 4; CSS: computed from its table 1)."""

Totals = Mapping[tuple[str, str], int]
"""Bytes that there are, by (source, language)."""

Rates = Mapping[tuple[str, str], float]
"""Expected copies of each file, by (source, language)."""


@dataclass(frozen=True)
class Mixture:
    """Weights (1 unless named; 0 leaves out, 2 takes each file twice) and caps in bytes (none unless named), by name.

    Languages are Linguist's names. Raises `SettingsError` for a weight that is negative or no number, a negative cap, or a
    language that Linguist does not have.
    """

    language_weights: dict[str, float] = field(default_factory=dict)
    source_weights: dict[str, float] = field(default_factory=dict)
    language_caps: dict[str, int] = field(default_factory=dict)
    source_caps: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind in ("language_weights", "source_weights", "language_caps", "source_caps"):
            for name, value in getattr(self, kind).items():
                if not (math.isfinite(value) and value >= 0):
                    raise SettingsError(f"{kind}['{name}'] is {value}; it must be a number of at least 0")
        for kind in ("language_weights", "language_caps"):
            for name in getattr(self, kind):
                if (spelling := canonical(name)) != name:
                    hint = f"; Linguist calls it '{spelling}'" if spelling else ""
                    raise SettingsError(f"{kind} names the language '{name}', which there is not{hint}")

    def rates(self, totals: Totals) -> dict[tuple[str, str], float]:
        """Copies of a file of each source and language, given the bytes that there are of each.

        Weights are applied, then what is over a language's cap is cut in equal measure from all its sources, then what is
        over a source's cap from all its languages. No cap is exceeded then, in expectation.
        """
        rates = {
            (source, language): self.source_weights.get(source, 1.0) * self.language_weights.get(language, 1.0)
            for source, language in sorted(totals)
        }
        for part, caps in ((1, self.language_caps), (0, self.source_caps)):
            for name, cap in caps.items():
                members = [key for key in rates if key[part] == name]
                size = math.fsum(totals[key] * rates[key] for key in members)
                if size > cap:
                    rates.update({key: rates[key] * (cap / size) for key in members})
        return rates


def copies(file_id: str, rate: float, seed: int) -> int:
    """How often a file with this id is taken: `rate` rounded down, or up with the probability of what was cut off.

    Ids must be stable and distinct: the SHA-256 of the content with repository and path, say, not a place in a list.
    """
    whole = math.floor(rate)
    return whole + (draw(seed, "copies", file_id) < (rate - whole) * 2.0**64)
