"""What is counted about a text: five numbers that the rules judge by and that documents keep as columns. Knows no thresholds."""

from __future__ import annotations

import re
import string
from typing import NamedTuple

_LETTERS = string.ascii_letters.encode()
_LETTERS_AND_DIGITS = _LETTERS + string.digits.encode()
_ASCII = re.compile(r"[\x00-\x7f]+")


class Signals(NamedTuple):
    """Counts of characters and lines. Lines end with a newline; their lengths are without it, a carriage return counts."""

    num_chars: int
    num_lines: int
    max_line_length: int
    num_letters: int
    num_alphanumeric: int

    @property
    def avg_line_length(self) -> float:
        """Characters a line, line ends included; 0 for an empty text."""
        return self.num_chars / self.num_lines if self.num_lines else 0.0

    @property
    def alpha_fraction(self) -> float:
        """The share of letters among all characters; 0 for an empty text."""
        return self.num_letters / self.num_chars if self.num_chars else 0.0

    @property
    def alphanum_fraction(self) -> float:
        """The share of letters and digits among all characters; 0 for an empty text."""
        return self.num_alphanumeric / self.num_chars if self.num_chars else 0.0


def measure(text: str) -> Signals:
    """The signals of a text; letters and digits are Unicode's."""
    lines = text.split("\n")
    num_letters, num_alphanumeric = _count_letters(text)
    return Signals(len(text), len(lines) - (not lines[-1]), max(map(len, lines)), num_letters, num_alphanumeric)


def _count_letters(text: str) -> tuple[int, int]:
    """Letters, and letters and digits: bytes for ASCII, which is nearly everything, characters for the rest."""
    ascii_part = text.encode("ascii", "ignore")
    letters = len(ascii_part) - len(ascii_part.translate(None, _LETTERS))
    alphanumeric = len(ascii_part) - len(ascii_part.translate(None, _LETTERS_AND_DIGITS))
    if len(ascii_part) < len(text):
        rest = _ASCII.sub("", text)
        letters += sum(map(str.isalpha, rest))
        alphanumeric += sum(map(str.isalnum, rest))
    return letters, alphanumeric
