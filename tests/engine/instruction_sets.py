"""Tests run the native kernels of one instruction set after another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from starloom.engine import _native


@contextmanager
def using(isa: str) -> Iterator[None]:
    before = _native.current_isa()
    _native.force_isa(isa)
    try:
        yield
    finally:
        _native.force_isa(before)
