"""Settings for all tests: no time limits on hypothesis examples, since machines are shared, and a cache folder of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("starloom", deadline=None)
settings.load_profile("starloom")


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Packed models of tests do not go into the cache of whoever runs them; commands that tests start inherit this."""
    with pytest.MonkeyPatch.context() as patch:
        if "STARLOOM_CACHE" not in os.environ:
            patch.setenv("STARLOOM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
