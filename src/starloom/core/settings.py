"""Settings are dataclasses; this reads them from mappings and from `--set a.b=c`, and says no with a reason.

Unknown names and wrong types are errors that name the field, the value and what would be valid. Values that only a
stage can judge (ranges, pairs that exclude each other) are checked by the dataclass's own `__post_init__`.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from starloom.core.errors import SettingsError

T = TypeVar("T")


def from_mapping(cls: type[T], values: Mapping[str, Any], *, at: str = "") -> T:
    """Build the dataclass `cls` from plain values (as JSON holds them). Raises `SettingsError`."""
    hints = typing.get_type_hints(cls)
    names = {field.name for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    for name in values:
        if name not in names:
            raise SettingsError(f"unknown setting '{at}{name}'{_hint(name, names)}")
    required = {
        field.name
        for field in dataclasses.fields(cls)  # type: ignore[arg-type]
        if field.init and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    if missing := sorted(required - values.keys()):
        raise SettingsError(f"missing setting '{at}{missing[0]}' of {cls.__name__}")
    return cls(**{name: _convert(value, hints[name], f"{at}{name}") for name, value in values.items()})


def to_mapping(settings: Any) -> dict[str, Any]:
    """The plain values of a dataclass, ready for JSON; paths become text."""

    def plain(value: Any) -> Any:
        if isinstance(value, Path):
            return str(value)
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        return value

    return {name: plain(value) for name, value in dataclasses.asdict(settings).items()}


def with_overrides(settings: T, overrides: Iterable[str]) -> T:
    """Apply `name=value` or `group.name=value` texts to a copy of `settings`. Raises `SettingsError`.

    A value is read as JSON where that works (numbers, true, null, lists, quoted text), else as plain text.
    """
    values = to_mapping(settings)
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise SettingsError(f"'{override}' is not of the form name=value")
        _put(values, key, text, type(settings))
    return from_mapping(type(settings), values)


def _put(values: dict[str, Any], key: str, text: str, hint: Any) -> None:
    *groups, name = key.split(".")
    for group in groups:
        if not isinstance(values.get(group), dict):
            raise SettingsError(f"unknown setting '{key}': there is no group '{group}'{_hint(group, values)}")
        values, hint = values[group], typing.get_type_hints(hint).get(group) if isinstance(hint, type) else None
    if name not in values and typing.get_origin(hint) is not dict:  # a table may get names that it does not have yet
        raise SettingsError(f"unknown setting '{key}'{_hint(name, values)}")
    try:
        values[name] = json.loads(text)
    except json.JSONDecodeError:
        values[name] = text


def _hint(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; known are {', '.join(names)}"


def _convert(value: Any, hint: Any, at: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _convert_union(value, arguments, at)
    if origin is Literal:
        if value not in arguments:
            raise SettingsError(f"'{at}' is {value!r}; it must be one of {', '.join(map(repr, arguments))}")
        return value
    if origin in (list, tuple):
        if not isinstance(value, (list, tuple)):
            raise SettingsError(f"'{at}' is {value!r}; it must be a list")
        return origin(_convert(item, arguments[0], f"{at}[{place}]") for place, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise SettingsError(f"'{at}' is {value!r}; it must be a table of names and values")
        return {key: _convert(item, arguments[1], f"{at}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, dict):
            raise SettingsError(f"'{at}' is {value!r}; it must be a table of names and values")
        return from_mapping(hint, value, at=f"{at}.")
    return _convert_plain(value, hint, at)


def _convert_union(value: Any, arguments: tuple[Any, ...], at: str) -> Any:
    if value is None and type(None) in arguments:
        return None
    errors = []
    for argument in arguments:
        if argument is not type(None):
            try:
                return _convert(value, argument, at)
            except SettingsError as error:
                errors.append(error)
    raise errors[0]


def _convert_plain(value: Any, hint: Any, at: str) -> Any:
    if hint is Any or (isinstance(value, hint) and not (isinstance(value, bool) and hint is not bool)):
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    raise SettingsError(f"'{at}' is {value!r}; it must be of type {hint.__name__}")
