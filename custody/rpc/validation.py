"""What a request must be before a service sees it: bytes of its type, within the rules of its proto."""

from collections.abc import Sequence

import protovalidate
from google.protobuf.message import DecodeError, Message

from custody.domain.errors import FieldInvalid
from custody.rpc.errors import Violation


class RequestInvalid(FieldInvalid):
    """One or more fields break their rules.

    Attributes:
        violations: each of them.
    """

    def __init__(self, violations: Sequence[Violation]) -> None:
        first = violations[0]
        super().__init__(f"{first.path or 'the request'}: {first.description}", field=first.path)
        self.violations = tuple(violations)


def parse(kind: type[Message], raw: bytes) -> Message:
    """The request that the bytes are.

    Fields of a newer API are refused rather than dropped: who sends one relies on it.

    Raises:
        RequestInvalid: not bytes of this message, unknown fields, or a field that breaks its rules.
    """
    try:
        request = kind.FromString(raw)
    except DecodeError as error:
        raise RequestInvalid([Violation("", f"not a {kind.DESCRIPTOR.full_name}")]) from error
    size = request.ByteSize()
    request.DiscardUnknownFields()
    if request.ByteSize() != size:
        raise RequestInvalid([Violation("", f"fields that {kind.DESCRIPTOR.full_name} does not have")])
    found = protovalidate.collect_violations(request)
    if found:
        raise RequestInvalid([_violation(each) for each in found])
    return request


def _violation(found: protovalidate.Violation) -> Violation:
    """With the path as google.rpc.BadRequest writes it: `accounts[1]`, `withdrawal.amount.units`."""
    path = ""
    if found.proto.field is not None:
        for element in found.proto.field.elements:
            path += f".{element.field_name}"
            if element.subscript is not None:
                path += f"[{element.subscript.value}]"
    return Violation(path.removeprefix("."), found.proto.message, found.proto.rule_id)
