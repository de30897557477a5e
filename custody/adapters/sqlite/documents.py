"""Records as JSON documents: for aggregates that are always read and written whole.

The shape is the dataclass. Encoders and decoders are built once per type from its annotations, so that a
document costs little more than `json` itself, and reading one back constructs, and thereby checks, every
value.
"""

import dataclasses
import functools
import json
import types
import typing
from collections.abc import Callable, Hashable
from enum import Enum
from typing import Any, Literal, TypeVar, cast, get_args, get_origin

from custody.domain.account import PledgeAccount
from custody.domain.collateral import PublishedPrice
from custody.domain.destination import AllowedDestination
from custody.domain.lien import Lien
from custody.domain.outflow import Withdrawal
from signers.statements.amounts import Amount, Asset, Sats, Wei, amount_of
from signers.statements.envelope import Envelope

T = TypeVar("T")

_Codec = tuple[Callable[[Any], Any], Callable[[Any], Any]]
"""To what `json` writes, and back."""


def dump(record: object) -> str:
    """The document of a dataclass."""
    encode, _ = _codec(cast("Hashable", type(record)))
    return json.dumps(encode(record), separators=(",", ":"))


def load(cls: type[T], document: str) -> T:
    """The dataclass that a document holds.

    Raises:
        ValueError, KeyError, TypeError: it holds something else.
    """
    _, decode = _codec(cast("Hashable", cls))
    return cast("T", decode(json.loads(document)))


_RESULTS: dict[str, type[Any]] = {
    "account": PledgeAccount,
    "destination": AllowedDestination,
    "lien": Lien,
    "price": PublishedPrice,
    "withdrawal": Withdrawal,
}
_RESULT_NAMES = {cls: name for name, cls in _RESULTS.items()}


def dump_result(result: object) -> str:
    """The document of what a use case returned: one record, or a tuple of records of one kind.

    Raises:
        KeyError: no use case with a request id returns such a thing.
    """
    records = result if isinstance(result, tuple) else (result,)
    name = _RESULT_NAMES[type(records[0])]
    encode, _ = _codec(cast("Hashable", _RESULTS[name]))
    body = [encode(record) for record in records]
    kind = f"{name}s" if isinstance(result, tuple) else name
    return json.dumps([kind, *body], separators=(",", ":"))


def load_result(document: str) -> object:
    """What `dump_result` wrote."""
    kind, *body = json.loads(document)
    many = kind not in _RESULTS
    _, decode = _codec(cast("Hashable", _RESULTS[kind[:-1] if many else kind]))
    records = tuple(decode(each) for each in body)
    return records if many else records[0]


@functools.cache
def _codec(hint: Any) -> _Codec:  # noqa: PLR0911 - one line for each kind of type
    hint = getattr(hint, "__supertype__", hint)
    if hint in _LEAVES:
        return _LEAVES[hint]
    origin = get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        return _union(get_args(hint))
    if origin in (tuple, frozenset):
        return _many(origin, get_args(hint)[0])
    if origin is Literal:
        return _same, _same
    if dataclasses.is_dataclass(hint):
        return _dataclass(hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return (lambda value: value.value), hint
    if isinstance(hint, type) and issubclass(hint, str):
        return _same, hint
    raise TypeError(f"{hint} has no place in a document")


def _same(value: Any) -> Any:
    return value


def _amount(value: Any) -> Amount:
    asset, units = value
    return amount_of(Asset(asset), int(units))


_AMOUNT: _Codec = ((lambda value: (value.asset.value, str(value.units))), _amount)
_LEAVES: dict[Any, _Codec] = {
    int: (_same, _same),
    bool: (_same, _same),
    str: (_same, _same),
    bytes: (bytes.hex, bytes.fromhex),
    Amount: _AMOUNT,
    Sats: _AMOUNT,
    Wei: _AMOUNT,
    Envelope: (
        (lambda value: value.to_json().decode()),
        (lambda value: Envelope.from_json(value.encode())),
    ),
}


def _many(container: Any, item: Any) -> _Codec:
    encode, decode = _codec(item)
    rank: Callable[[Any], Any] = sorted if container is frozenset else list
    return (
        (lambda value: rank(encode(each) for each in value)),
        (lambda value: container(decode(each) for each in value)),
    )


def _union(options: tuple[Any, ...]) -> _Codec:
    present = [option for option in options if option is not type(None)]
    if len(present) == 1:
        encode, decode = _codec(present[0])
        return (
            (lambda value: None if value is None else encode(value)),
            (lambda value: None if value is None else decode(value)),
        )
    return _tagged_union(present)


def _tagged_union(options: list[Any]) -> _Codec:
    """Dataclasses told apart by their literal `kind`, or nothing."""
    by_kind = {get_args(typing.get_type_hints(option)["kind"])[0]: _codec(option) for option in options}
    return (
        (lambda value: None if value is None else by_kind[value.kind][0](value)),
        (lambda value: None if value is None else by_kind[value["kind"]][1](value)),
    )


def _dataclass(cls: Any) -> _Codec:
    hints = typing.get_type_hints(cls)
    codecs = [(field.name, *_codec(hints[field.name])) for field in dataclasses.fields(cls)]

    def encode(value: Any) -> dict[str, Any]:
        return {name: write(getattr(value, name)) for name, write, _ in codecs}

    def decode(value: Any) -> Any:
        return cls(**{name: read(value[name]) for name, _, read in codecs})

    return encode, decode
