"""Runs of the data pipeline by name. Sources are named on the command line, or with `--set sources=[...]`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from starloom.core.errors import SettingsError
from starloom.data.pipeline.settings import DataSettings, LicenceSettings


def debug() -> DataSettings:
    """Every step of a run in seconds: small shards, so that there are several, and few buckets."""
    return replace(permissive(), shard_bytes=2**20, group_bytes=2**18, buckets=2)


def permissive() -> DataSettings:
    """All rules of The Stack v2, and nothing stays of which no permissive licence is known."""
    return DataSettings()


def stack() -> DataSettings:
    """The Stack v2 (StarCoder 2 paper, section 2): files without any known licence stay, and issues, questions and
    documentation stay whatever licence their repository has. More bands propose near duplicates than the paper's 25 of 10
    minima; the similarity that decides is the same."""
    licences = LicenceSettings(keep_unlicensed=True, exempt_kinds=("issue", "question", "documentation"))
    return DataSettings(licences=licences)


RECIPES: dict[str, Callable[[], DataSettings]] = {"debug": debug, "permissive": permissive, "stack": stack}


def recipe(name: str) -> DataSettings:
    """The settings of the recipe called `name`. Raises `SettingsError`."""
    if name not in RECIPES:
        raise SettingsError(f"there is no recipe '{name}'; known are {', '.join(sorted(RECIPES))}")
    return RECIPES[name]()
