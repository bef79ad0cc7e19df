import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from starloom.redaction import Kind, find, redact
from starloom.redaction.finding import lowered
from starloom.redaction.replacement import PRIVATE_V4, PRIVATE_V6

GITHUB = "ghp_" + "8Zk2Lq9XyW4vT7rP1sN6mB3cF5gH0jD2aE4u"
PIECES = st.sampled_from(
    [
        "jane@acme.com",
        GITHUB,
        "93.184.216.34",
        "2a00:1450:4001:81b::200e",
        'password = "Gx7!kdV2_q"',
        "api_key: q7Rk2PzX9vLm4TfW8sYc3JdH",
        "postgres://u:S3cr3tPa55@db.acme.com/x",
        "Copyright 2020 Jane Doe",
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "AKIAQ3EGTX5RZ7YJ2MWN",
        "token",
        "@",
        "://",
        ":",
        '"',
        "=",
        "<KEY>",
        "<EMAIL>",
        "\n",
        " ",
        "é😀İ",
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=8), max_size=12).map("".join)


@given(TEXTS)
@settings(max_examples=400)
def test_spans_are_right_and_apart_and_redacting_twice_changes_nothing(text: str) -> None:
    once = redact(text, betterleaks=False)
    assert all(text[each.start : each.end] == each.value and each.value for each in once.findings)
    assert all(a.end <= b.start for a, b in pairwise(once.findings))
    assert redact(once.text, betterleaks=False).text == once.text


@given(TEXTS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_the_same_with_betterleaks(text: str) -> None:
    pytest.importorskip("betterleaks")
    once = redact(text)
    assert redact(once.text).text == once.text


def test_the_rest_of_the_text_is_untouched() -> None:
    text = "a\r\n\tjane@acme.com é😀 93.184.216.34\u2028x"
    assert redact(text, betterleaks=False).text == f"a\r\n\t<EMAIL> é😀 {PRIVATE_V4[0]}\u2028x"


def test_the_same_address_gets_the_same_replacement_in_the_order_of_appearance() -> None:
    public = [f"93.184.216.{last}" for last in range(30, 37)]
    text = " ".join([*public, *reversed(public), "2a00:1450:4001:81b::200e"])
    words = redact(text, betterleaks=False).text.split()
    assert words[:7] == [*PRIVATE_V4, *PRIVATE_V4[:2]]
    assert words[7:14] == words[:7][::-1]
    assert words[14] == PRIVATE_V6[0]


def test_replacements_are_not_found_again() -> None:
    text = " ".join([*PRIVATE_V4, *PRIVATE_V6, *(f"<{kind}>" for kind in Kind)])
    assert find(text, betterleaks=False) == []


def test_lower_case_keeps_places() -> None:
    every = "".join(chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    assert len(lowered(every)) == len(every)


HOSTILE = {
    "at signs": "@" * 1000,
    "addresses": "a" * 63 + "@" + ("b" * 62 + ".") * 8,
    "local parts": "a.b-c_" * 166,
    "keywords": "password" * 125,
    "assignments": "password = " * 90,
    "open quotes": 'password="' * 100,
    "colons": ":" * 1000,
    "hexadecimal": "2a00:" * 200,
    "dots": "1.2.3." * 166,
    "digits": "1" * 1000,
    "private keys": "-----BEGIN PRIVATE KEY-----" * 37,
    "web tokens": "eyJhbGciOiJI.eyJ" * 62,
    "schemes": "://a:" * 200,
    "copyright": "copyright " * 100,
    "authors": "Author: A. " * 90,
    "tokens": f'"{GITHUB}"' * 23,
    "escapes": "\\" * 1000,
    "spaces": "password" + " " * 992,
    "values": "secret>" * 142,
    "headers": "authorization: bearer " * 45,
    "emoji": "😀password=" * 100,
}


@pytest.mark.parametrize("unit", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_megabyte_does_not_hang(unit: str) -> None:
    """Anything worse than linear would take hours here."""
    text = unit * (1_000_000 // len(unit))
    found = find(text, betterleaks=False)
    assert all(text.startswith(each.value, each.start) for each in found)
    assert all(a.end <= b.start for a, b in pairwise(found))


def test_the_library_imports_no_heavy_module() -> None:
    source = "".join(file.read_text() for file in Path(find.__code__.co_filename).parent.glob("*.py"))
    assert "starloom.data" not in source
    assert not re.search(r"^import betterleaks|^from betterleaks", source, re.MULTILINE)
