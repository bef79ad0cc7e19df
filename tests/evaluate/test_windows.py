"""Windows are whole lines of their documents, never too long, and evenly spread."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starloom.core.errors import SettingsError
from starloom.evaluate import windows

Documents = list[tuple[str, str, str]]


def test_windows_are_whole_lines_and_nearly_full(documents: Documents) -> None:
    found = list(windows(documents, num_bytes=300))
    assert len(found) == len(documents)
    for window in found:
        assert 200 < len(window) <= 300
        assert window.endswith(b"\n")
        assert any(f"\n{text}".encode().find(b"\n" + window) >= 0 for _, _, text in documents)
    assert len({window.split(b"_")[0] for window in islice(windows(documents, num_bytes=300), 3)}) == 3


@given(text=st.text(alphabet="aé\n", max_size=80), num_bytes=st.integers(1, 40), seed=st.integers(0, 3))
def test_any_document_gives_lines_or_nothing(text: str, num_bytes: int, seed: int) -> None:
    for window in windows([("repo", "a", text)], num_bytes=num_bytes, seed=seed):
        assert 0 < len(window) <= num_bytes
        assert window.endswith(b"\n")
        assert b"\n" + window in b"\n" + text.encode()


def test_windows_are_the_same_again(documents: Documents) -> None:
    assert list(windows(documents, num_bytes=500)) == list(windows(documents[::-1], num_bytes=500))
    assert list(windows(documents, num_bytes=500)) != list(windows(documents, num_bytes=500, seed=1))


def test_no_bytes_are_refused(documents: Documents) -> None:
    with pytest.raises(SettingsError, match="num_bytes is 0"):
        windows(documents, num_bytes=0)
