"""From typed dataclasses to JSON values and back, strictly.

The shape of a statement is its dataclass: every field is always present, `None` is `null`, nothing else is
allowed, and each value's type checks itself (`identifiers`, `amounts`). Tuples are arrays, an `Amount` is
`{"asset", "units"}`, a union of dataclasses is told apart by its literal `kind`.
"""

import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Hashable, Mapping
from enum import Enum
from functools import partial
from typing import Any, Literal, TypeVar, cast, get_args, get_origin

from signers.statements.amounts import Amount, Asset, amount_of, parse_units
from signers.statements.canonical import INTEGER_MAX, JSON
from signers.statements.identifiers import SECONDS_MAX, Seconds, Text

ITEMS_MAX = 256
"""The most elements any array of a statement may have."""

T = TypeVar("T")

_UNIONS = (types.UnionType, typing.Union)
"""`X | None` is the second where X is a `NewType` or a `Literal`, until Python 3.14 makes them one."""


class Mismatch(ValueError):  # noqa: N818 - it says what it is
    """A JSON value does not have the shape of its type; `args[0]` says where and why."""


def to_json(value: object) -> JSON:
    """The JSON value of a dataclass of statement types."""
    match value:
        case Amount():
            return {"asset": value.asset.value, "units": str(value.units)}
        case Enum():
            return str(value.value)
        case Text():
            return str(value)
        case None | bool() | int() | str():
            return value
        case tuple():
            return [to_json(item) for item in value]
    if not dataclasses.is_dataclass(value):
        raise TypeError(f"{type(value).__name__} has no place in a statement")
    return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}


def from_json(cls: type[T], value: JSON, *, at: str = "$") -> T:
    """Read `value` as a `cls`.

    Args:
        cls: a dataclass of statement types.
        value: what canonical bytes said.
        at: where in the document this is, for messages.

    Raises:
        Mismatch: a missing or unknown field, a wrong type, or a value its type refuses.
    """
    if not isinstance(value, dict):
        raise Mismatch(f"{at}: an object is expected")
    readers = _readers(cast("Hashable", cls))
    if value.keys() != readers.keys():
        unknown, missing = sorted(value.keys() - readers.keys()), sorted(readers.keys() - value.keys())
        raise Mismatch(f"{at}: unknown fields {unknown}, missing fields {missing}")
    fields = {name: read(value[name], f"{at}.{name}") for name, read in readers.items()}
    try:
        return cls(**fields)
    except ValueError as error:
        raise Mismatch(f"{at}: {error}") from error


_Reader = Callable[[JSON, str], object]
"""Reads a value, given where it is."""


@functools.cache
def _readers(cls: Any) -> Mapping[str, _Reader]:
    hints = typing.get_type_hints(cls)
    return {field.name: _reader(hints[field.name]) for field in dataclasses.fields(cls)}


def _reader(hint: Any) -> _Reader:  # noqa: PLR0911 - one line for each kind of type
    """What reads values of a type: chosen once, for statements are read often."""
    if get_origin(hint) in _UNIONS:
        return _union_reader(get_args(hint))
    if get_origin(hint) is tuple:
        return _array_reader(get_args(hint)[0])
    if get_origin(hint) is Literal:
        return partial(_read_literal, get_args(hint))
    if hint is Amount:
        return _read_amount
    if dataclasses.is_dataclass(hint):
        return lambda value, at: from_json(cast("type[object]", hint), value, at=at)
    if hint is int:
        return partial(_read_integer, INTEGER_MAX)
    if hint is Seconds:
        return partial(_read_integer, SECONDS_MAX)
    if hint is bool:
        return _read_boolean
    return partial(_read_text, hint)


def _union_reader(options: tuple[Any, ...]) -> _Reader:
    if type(None) in options:
        (option,) = (each for each in options if each is not type(None))
        read = _reader(option)
        return lambda value, at: None if value is None else read(value, at)
    by_kind = {
        kind: _reader(option)
        for option in options
        for kind in get_args(typing.get_type_hints(option)["kind"])
    }

    def read_kind(value: JSON, at: str) -> object:
        kind = value.get("kind") if isinstance(value, dict) else None
        if not isinstance(kind, str) or kind not in by_kind:
            raise Mismatch(f"{at}.kind: unknown")
        return by_kind[kind](value, at)

    return read_kind


def _array_reader(item: Any) -> _Reader:
    read = _reader(item)

    def read_array(value: JSON, at: str) -> object:
        if not isinstance(value, list) or len(value) > ITEMS_MAX:
            raise Mismatch(f"{at}: an array of at most {ITEMS_MAX} is expected")
        return tuple(read(element, f"{at}[{index}]") for index, element in enumerate(value))

    return read_array


def _read_literal(options: tuple[Any, ...], value: JSON, at: str) -> object:
    if not isinstance(value, str) or value not in options:
        raise Mismatch(f"{at}: one of {list(options)} is expected")
    return value


def _read_amount(value: JSON, at: str) -> Amount:
    if not isinstance(value, dict) or value.keys() != {"asset", "units"}:
        raise Mismatch(f"{at}: an object of asset and units is expected")
    asset, units = value["asset"], value["units"]
    if not isinstance(asset, str) or not isinstance(units, str):
        raise Mismatch(f"{at}: asset and units are strings")
    try:
        return amount_of(Asset(asset), parse_units(units))
    except ValueError as error:
        raise Mismatch(f"{at}: {error}") from error


def _read_integer(maximum: int, value: JSON, at: str) -> int:
    if type(value) is not int or not 0 <= value <= maximum:
        raise Mismatch(f"{at}: an integer of 0..{maximum} is expected")
    return value


def _read_boolean(value: JSON, at: str) -> bool:
    if not isinstance(value, bool):
        raise Mismatch(f"{at}: true or false is expected")
    return value


def _read_text(hint: Any, value: JSON, at: str) -> object:
    if not isinstance(value, str):
        raise Mismatch(f"{at}: a string is expected")
    try:
        return hint(value)
    except ValueError as error:
        raise Mismatch(f"{at}: {error}") from error
