"""A completion ends where the text behind the cursor would begin again."""

from __future__ import annotations

import pytest

from starloom.contract.joining import stops_before


@pytest.mark.parametrize(
    ("suffix", "stops"),
    [
        (b"):\n    pass\n", ("):\n", "\n")),
        (b")", ("\n",)),
        (b"\n    return x\n\n\ndef g():\n", ("\n    return x\n",)),
        (b"\n\n\n    return x\n", ("\n    return x\n",)),
        (b"  \r\n    return x\r\n", ("\n    return x\r\n",)),
        (b"\n    }\n", ()),
        (b"\n    return x", ()),
        (b"\n\n", ()),
        (b"", ()),
        ("\n    größe = 1\n".encode(), ("\n    größe = 1\n",)),
        (b"\n\xff\xfe name\n", ("\n\ufffd\ufffd name\n",)),
    ],
)
def test_what_a_completion_ends_before(suffix, stops):
    assert stops_before(suffix) == stops


def test_a_very_long_line_is_no_stop():
    assert stops_before(b"x" * 100_000 + b"\n") == ("\n",)
    assert stops_before(b"\n" + b"x" * 100_000 + b"\n") == ()
