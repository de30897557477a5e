"""Canonical JSON: RFC 8785 (JCS), and a parser that accepts nothing else.

Two different byte strings never mean the same statement, so a digest names exactly one meaning.
"""

import json
import re
from typing import Any, Final, NoReturn

import rfc8785

from signers.statements.refusals import Refusal, Tag

JSON = None | bool | int | str | list["JSON"] | dict[str, "JSON"]

_STRING_OR_BRACKET: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)
_STEPS: Final = {b"[": 1, b"{": 1, b"]": -1, b"}": -1}

PAYLOAD_BYTES_MAX: Final = 64 * 1024
NESTING_MAX: Final = 32
"""The deepest any statement or envelope nests. Python's parser recurses, and a library that raises the
recursion limit would turn deep nesting into a crash of the whole process."""

INTEGER_MAX: Final = 2**53 - 1
"""The largest integer every JSON reader agrees on (RFC 8785, appendix on IEEE 754)."""


def encode(value: JSON) -> bytes:
    """The one canonical byte string of a JSON value without floats.

    Raises:
        ValueError: an integer beyond 2^53 - 1 or a lone surrogate.
    """
    try:
        return rfc8785.dumps(value)
    except rfc8785.CanonicalizationError as error:
        raise ValueError(str(error)) from error


def parse(payload: bytes) -> JSON:
    """The value that canonical bytes say.

    Raises:
        Refusal: `statement-duplicate-key`, `statement-malformed` (not JSON, too long, a float, NaN, a large
            integer, a non-ASCII character) or `statement-non-canonical` (another spelling of the value).
    """
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise Refusal(
            Tag.STATEMENT_MALFORMED, f"payload of {len(payload)} bytes, at most {PAYLOAD_BYTES_MAX}"
        )
    refuse_deep_nesting(payload)
    try:
        value: JSON = _decode(payload.decode("ascii"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise Refusal(Tag.STATEMENT_MALFORMED, f"not ASCII JSON: {error}") from error
    try:
        canonical = encode(value)
    except (ValueError, RecursionError) as error:
        raise Refusal(Tag.STATEMENT_MALFORMED, f"not representable: {error}") from error
    if canonical != payload:
        raise Refusal(Tag.STATEMENT_NON_CANONICAL, "payload is not its own RFC 8785 form")
    return value


def refuse_deep_nesting(document: bytes) -> None:
    """Count how deep brackets outside of strings nest, before anything recurses into them.

    Raises:
        Refusal: `statement-malformed`.
    """
    if document.count(b"[") + document.count(b"{") <= NESTING_MAX:
        return
    depth = 0
    for token in _STRING_OR_BRACKET.findall(document):
        depth += _STEPS.get(token, 0)
        if depth > NESTING_MAX:
            raise Refusal(Tag.STATEMENT_MALFORMED, f"nested deeper than {NESTING_MAX}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Refusal(Tag.STATEMENT_DUPLICATE_KEY, "an object names a field twice")
    return value


def _integer(text: str) -> int:
    if len(text) > 17 or abs(int(text)) > INTEGER_MAX:
        raise Refusal(Tag.STATEMENT_MALFORMED, "integer of 2^53 or more")
    return int(text)


def _refuse_number(text: str) -> NoReturn:
    raise Refusal(Tag.STATEMENT_MALFORMED, f"number {text[:24]!r} is not an integer")


_decode: Final = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_float=_refuse_number,
    parse_int=_integer,
    parse_constant=_refuse_number,
).decode
