import pytest

from starloom.data.duplicates.headers import body_start

BODY = "code(here)\n"


@pytest.mark.parametrize(
    "head",
    [
        "#!/bin/sh\n# Copyright\n\n#\n",
        "// one\n//two\r\n\r\n",
        "/* one\n two */",
        "/*\n * one\n */\n// two\n",
        "<!-- one\n two -->\n",
        "<?xml version='1.0'?>\n<!-- one -->\n",
        "<?php\n/* one */\n",
        "<!DOCTYPE html>\n<!-- one -->\n",
        "-- one\n--[[ two\n three ]]\n",
        "(* one *)\n",
        "{- one -}\n-- two\n",
        "#| one |#\n;; two\n",
        "%% one\n",
        "! one\n",
        "dnl one\n",
        "REM one\n",
        "\ufeff# one\n",
        '.\\" one\n',
        "\n\n  \t\n",
        "",
    ],
)
def test_comments_at_the_head_end_where_the_body_begins(head: str) -> None:
    text = head + BODY + "# later\n"
    assert text[body_start(text) :].lstrip() == BODY + "# later\n"


@pytest.mark.parametrize(
    "text",
    ["#include <x.h>\n", "# define X\n", "#[attribute]\n", "/* never closed\n", "'use strict'\n", '"""a docstring"""\n', "", "x"],
)
def test_what_is_no_comment_stays(text: str) -> None:
    assert body_start(text) == 0


@pytest.mark.parametrize("text", [" " * 10**6, " \n" * 10**6, "/**/" * 250_000, "/*" * 500_000, "#\t" * 500_000, "\r" * 10**6])
def test_hostile_text_takes_linear_time(text: str) -> None:
    """What is quadratic would take hours."""
    assert 0 <= body_start(text) <= len(text)
