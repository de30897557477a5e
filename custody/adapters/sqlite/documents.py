"""Records as JSON documents: for aggregates that are always read and written whole.

The shape is the dataclass. Encoders and decoders are built once per type from its annotations, so that a
document costs little more than `json` itself, and reading one back constructs, and thereby checks, every
value.
"""

import base64
import binascii
import dataclasses
import functools
import json
import operator
import types
import typing
from collections.abc import Callable, Hashable
from enum import Enum
from typing import Any, Final, Literal, TypeVar, cast, get_args, get_origin

from custody.domain.account import Dossier
from custody.domain.destination import AllowedDestination
from custody.domain.lien import Lien
from custody.domain.price import PublishedPrice
from custody.domain.withdrawal import Withdrawal
from signers.statements.amounts import Amount, Asset, Sats, Wei, amount_of
from signers.statements.envelope import Envelope, Signature
from signers.statements.identifiers import KeyId

T = TypeVar("T")

_encode: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode

_Codec = tuple[Callable[[Any], Any], Callable[[Any], Any]]
"""To what `json` writes, and back."""


def dump(record: object) -> str:
    """The document of a dataclass."""
    encode, _ = _codec(cast("Hashable", type(record)))
    return _encode(encode(record))


def load(cls: type[T], document: str) -> T:
    """The dataclass that a document holds.

    Raises:
        ValueError, KeyError, TypeError: it holds something else.
    """
    _, decode = _codec(cast("Hashable", cls))
    return cast("T", decode(json.loads(document)))


_RESULTS: dict[str, type[Any]] = {
    "dossier": Dossier,
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
    return _encode([kind, *body])


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


def _dump_envelope(value: Envelope) -> list[Any]:
    signatures = [(str(s.keyid), _base64(s.sig)) for s in value.signatures]
    return [value.payload_type, _base64(value.payload), signatures]


def _load_envelope(value: list[Any]) -> Envelope:
    payload_type, payload, signatures = value
    return Envelope(
        payload_type,
        base64.b64decode(payload),
        tuple(Signature(KeyId(keyid), base64.b64decode(sig)) for keyid, sig in signatures),
    )


def _base64(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).decode()


_AMOUNT: _Codec = ((lambda value: (value.asset.value, str(value.units))), _amount)
_LEAVES: dict[Any, _Codec] = {
    int: (_same, _same),
    bool: (_same, _same),
    str: (_same, _same),
    bytes: (bytes.hex, bytes.fromhex),
    Amount: _AMOUNT,
    Sats: _AMOUNT,
    Wei: _AMOUNT,
    Envelope: (_dump_envelope, _load_envelope),
}


def _many(container: Any, item: Any) -> _Codec:
    encode, decode = _codec(item)
    if container is tuple and encode is _same and decode is _same:
        return list, tuple
    rank: Callable[[Any], Any] = sorted if container is frozenset else list
    return (
        (lambda value: rank(encode(each) for each in value)),
        (lambda value: container(decode(each) for each in value)),
    )


def _union(options: tuple[Any, ...]) -> _Codec:
    present = [option for option in options if option is not type(None)]
    if len(present) == 1:
        encode, decode = _codec(present[0])
        if encode is _same and decode is _same:
            return _same, _same
        return (
            _same if encode is _same else (lambda value: None if value is None else encode(value)),
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
    names = [field.name for field in dataclasses.fields(cls)]
    codecs = [_codec(hints[name]) for name in names]
    # What JSON writes as it is needs no call: most fields of most records.
    converted = [(name, write) for name, (write, _) in zip(names, codecs, strict=True) if write is not _same]
    checked = [(name, read) for name, (_, read) in zip(names, codecs, strict=True) if read is not _same]
    values_of = operator.attrgetter(*names, names[0])

    def encode(value: Any) -> dict[str, Any]:
        document = dict(zip(names, values_of(value), strict=False))
        for name, write in converted:
            document[name] = write(document[name])
        return document

    def decode(value: Any) -> Any:
        fields = {name: value[name] for name in names}
        for name, read in checked:
            fields[name] = read(fields[name])
        return cls(**fields)

    return encode, decode
