from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from starloom.core.errors import SettingsError
from starloom.core.settings import from_mapping, to_mapping, with_overrides


@dataclass(frozen=True)
class Inner:
    rate: float = 0.5
    kind: Literal["a", "b"] = "a"


@dataclass(frozen=True)
class Outer:
    place: Path
    count: int = 1
    limit: int | None = None
    inner: Inner = field(default_factory=Inner)
    weights: dict[str, float] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)


BASE = Outer(Path("x"))


def test_overrides_are_typed_and_nested() -> None:
    words = ["place=here", "count=3", "limit=7", "inner.rate=1", "inner.kind=b", 'weights={"x": 2}', 'names=["p", "q"]']
    assert with_overrides(BASE, words) == Outer(Path("here"), 3, 7, Inner(1.0, "b"), {"x": 2.0}, ["p", "q"])
    assert with_overrides(with_overrides(BASE, ["limit=7"]), ["limit=null"]).limit is None
    assert Outer(Path("x")) == BASE


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("cout=3", "unknown setting 'cout'; did you mean 'count'"),
        ("inner.rat=3", "unknown setting 'inner.rat'; did you mean 'rate'"),
        ("outer.rate=3", "there is no group 'outer'"),
        ("count.x=3", "there is no group 'count'"),
        ("count=many", "'count' is 'many'; it must be of type int"),
        ("count=true", "'count' is True; it must be of type int"),
        ("count=1.5", "'count' is 1.5"),
        ("inner.kind=c", "'inner.kind' is 'c'; it must be one of 'a', 'b'"),
        ("weights=3", "'weights' is 3; it must be a table"),
        ("names=3", "'names' is 3; it must be a list"),
        ("inner=3", "'inner' is 3; it must be a table"),
        ("count", "'count' is not of the form name=value"),
    ],
)
def test_a_bad_override_says_what_and_why(word: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message.replace("(", r"\(")):
        with_overrides(BASE, [word])


def test_tables_take_names_that_they_do_not_have_yet() -> None:
    assert with_overrides(BASE, ["weights.new=2", "weights.other=0.5"]).weights == {"new": 2.0, "other": 0.5}
    with pytest.raises(SettingsError, match=r"weights\.new"):
        with_overrides(BASE, ["weights.new=text"])


def test_mappings_round_trip_and_name_what_is_missing() -> None:
    assert from_mapping(Outer, to_mapping(BASE)) == BASE
    with pytest.raises(SettingsError, match="missing setting 'place'"):
        from_mapping(Outer, {})
