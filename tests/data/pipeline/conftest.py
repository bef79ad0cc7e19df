"""A small world of repositories in which every stage has something to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pipeline_world import MIT, python, write

from starloom.core import files
from starloom.data.pipeline.run import run
from starloom.data.pipeline.settings import DataSettings


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The addresses of four repositories."""
    root = tmp_path_factory.mktemp("world")
    apples, pears = python("apples"), python("pears")
    write(
        root / "alpha",
        {
            "LICENSE": MIT,
            "apples.py": apples,
            "mail.py": python("mail") + '\nAUTHOR = "jane.doe@some-company.com"\n',
            "picture.bin": bytes(range(256)) * 4,
            "latin.py": python("latin").encode() + "# caf\u00e9 cr\u00e8me br\u00fbl\u00e9e\n".encode("latin-1"),
            "empty.py": "",
            "data.unknownending": "nobody knows what this is\n" * 3,
            "wide.py": "x = [" + "1, " * 900 + "]\n",
        },
    )
    (root / "alpha" / "link.py").symlink_to("apples.py")
    write(
        root / "beta",
        {
            "LICENSE": MIT,
            "copy.py": apples,
            "pears.py": pears,
            "near.py": pears.replace("number 3", "position three"),
            "x.c": "int x;",
        },
    )
    write(root / "gamma", {"COPYING": "GNU GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007\n", "plums.py": python("plums")})
    write(root / "delta", {"figs.py": python("figs")})
    return tuple(str(root / name) for name in ("alpha", "beta", "gamma", "delta"))


@pytest.fixture(scope="session")
def settings(world: tuple[str, ...]) -> DataSettings:
    """Several shards and buckets."""
    return DataSettings(sources=world, shard_bytes=6000, group_bytes=4000, buckets=3, parse=False)


@pytest.fixture(scope="session")
def finished(settings: DataSettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over the world in this process. Not to be changed: copy it."""
    out = tmp_path_factory.mktemp("run") / "out"
    run(settings, str(out), workers=0)
    return out


@pytest.fixture(scope="session", autouse=True)
def _unflushed() -> Iterator[None]:
    """Hundreds of small files need not survive a power cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_flush", lambda path: None)
        yield
