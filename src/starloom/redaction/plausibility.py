"""Whether a string could be a secret at all: placeholders, hashes and identifiers are not.

Knows no syntax; the rules that do ask here before they speak.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import resources
from itertools import pairwise

MIN_KEY = 9
"""Keys are longer than eight characters (StarPII's post-rules, bigcode-dataset)."""
MIN_PASSWORD = 6
GIBBERISH = -5.5
"""Mean log2 probability of a step between letters below which a string is no word."""
MIN_HEX = 20
"""From here on hexadecimal digits are judged by their number alone: half of them are letters of words' beginnings."""

_PLACEHOLDER = re.compile(
    r"example|sample|dummy|placeholder|change.?me|replace|your[_-]?|x{4}|\.\.\.|\*\*\*|todo|fixme|insert|redacted|"
    r"<|>|\$\{|\{\{|%\(|(?-i:%[sd])(?![A-Za-z0-9])|\$\(|my[_-]?(?:secret|token|key|password|api)|not[_-]?(?:a|real)|fake|"
    r"(.)\1{5,}|0123456789abcdef|1234567890|abcdefgh|deadbeef",
    re.IGNORECASE,
)
_HEX = re.compile(r"(?:0x)?([0-9a-fA-F]+)\Z")
_UUID = re.compile(r"\{?[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\}?\Z")
CONSTANT = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\Z")
_CLASS = re.compile(r"(?:[A-Z][a-z]{2,}V?[0-9]{0,2}){2,}\Z")
_ALGORITHM = re.compile(
    r"(?:sha|md|base|utf|aes|pbkdf|win|u?int|float|x|rsa|blake|latin|http|oauth|field|input|line|test)[0-9]", re.IGNORECASE
)
_HASH_LENGTHS = frozenset({32, 40, 56, 64, 96, 128})
_HASH_WORD = re.compile(r"sha|md5|hash|digest|checksum|byte|commit|revision|integrity|fingerprint|etag|thumbprint|blake|crc")
_PUBLIC = re.compile(
    r"\.(?:js|css)[\"']\s?:\s?[\"']$|(?:websocket-key|public[_-]?key(?:token)?|site[_-]?key)\W{1,6}$", re.IGNORECASE
)
_CODE = re.compile(r"passw(?:or)?d|\\u[0-9a-f]{4}|[(){}\[\]]|://|^[./~$%@&#]|->|::|\.\w+\.")


def is_placeholder(value: str) -> bool:
    """Documentation's stand-ins, templates, one character again and again, runs of the alphabet."""
    return bool(_PLACEHOLDER.search(value[:500])) or len(set(value[:500])) < 4


def is_name(value: str) -> bool:
    """Named as constants and classes are: `SAS_KEY`, `JwtTokenFactoryV2`."""
    return bool(CONSTANT.match(value) or _CLASS.match(value))


def is_hash(value: str, before: str) -> bool:
    """As long as a digest in hexadecimal with a word for hashes in `before`, the text ahead; or said to be public there."""
    if _PUBLIC.search(before):
        return True
    digits = _HEX.match(value)
    return digits is not None and len(digits[1]) in _HASH_LENGTHS and bool(_HASH_WORD.search(before.lower()))


def is_key(value: str, before: str) -> bool:
    """Long enough, no placeholder, UUID or hash, and gibberish."""
    if len(value) < MIN_KEY or any(character.isspace() for character in value):
        return False
    if is_placeholder(value) or _UUID.match(value) or is_name(value) or is_hash(value, before):
        return False
    return (any(map(str.isdigit, value)) or len(value) >= 20) and is_gibberish(value)


def is_password(value: str) -> bool:
    """At least six characters without white space, no placeholder, and letters mixed with something else."""
    if not MIN_PASSWORD <= len(value) <= 200 or any(character.isspace() for character in value) or is_placeholder(value):
        return False
    if not value.isascii() or is_name(value) or re.fullmatch(r"[A-Z0-9_]+|0x[0-9A-Fa-f]+", value) or _CODE.search(value):
        return False
    if re.fullmatch(r"[A-Za-z]+[0-9]{2,3}", value):
        return not _ALGORITHM.match(value)
    if re.fullmatch(r"[A-Za-z_.:/-]+[0-9]{0,3}", value):
        return _is_passphrase(value) or (value != value.lower() and is_gibberish(value))
    return sum(any(map(kind, value)) for kind in (str.isalpha, str.isdigit, _is_sign)) >= 2


def is_strong(value: str) -> bool:
    """A password that shows by itself: random, or of letters, digits and signs."""
    mixed = all(any(map(kind, value)) for kind in (str.isalpha, str.isdigit, _is_sign))
    return is_password(value) and (mixed or (len(value) >= 9 and is_random(value)))


def _is_passphrase(value: str) -> bool:
    return value.islower() and value.count("-") in (2, 3, 4) and len(value) >= 15


def _is_sign(character: str) -> bool:
    return not character.isalnum() and character not in "_./:-"


def is_gibberish(value: str) -> bool:
    """Letters follow one another as they do not in the identifiers of programs."""
    digits = _HEX.match(value)
    if digits and len(digits[1]) >= MIN_HEX:
        return any(map(str.isdigit, digits[1])) and any(map(str.isalpha, digits[1])) and len(set(digits[1].lower())) >= 8
    return naturalness(value) < GIBBERISH


def is_random(value: str) -> bool:
    """Gibberish in which capitals, small letters or digits are mixed, and no path or name with dots."""
    mixed = sum(any(map(kind, value)) for kind in (str.islower, str.isupper, str.isdigit)) >= 2
    return mixed and not value.istitle() and not _CODE.search(value) and is_gibberish(value)


def naturalness(value: str) -> float:
    """Mean log2 probability of each character after the one before, by classes; about -3 for words, -7 for random ones."""
    table = _table()
    classes = [_class(character) for character in f" {value[:200]} "]
    return sum(table[a][b] for a, b in pairwise(classes)) / (len(classes) - 1) / 10


def _class(character: str) -> int:
    """0-25 lower case, 26-51 upper case, 52 digits, 53 everything else."""
    if "a" <= character <= "z":
        return ord(character) - 97
    if "A" <= character <= "Z":
        return ord(character) - 65 + 26
    return 52 if character.isdigit() else 53


@cache
def _table() -> list[list[int]]:
    """10 x log2 P(class | class before), 54 x 54, counted over identifiers by benchmarks/redaction.py."""
    rows: list[list[int]] = json.loads(resources.files(__package__).joinpath("letters.json").read_text())["log2_times_10"]
    return rows
