"""What can be wrong with a request, by its rules: one bad value at least for every rule there is."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from bailee.buf.validate import validate_pb2
from google.api import field_behavior_pb2  # type: ignore[import-untyped]
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from tests.unit.proto import descriptors as api

CLEARED = object()
"""The field is left out."""


@dataclass(frozen=True)
class Mutation:
    """One change to a valid request, and the rule that it breaks."""

    path: str
    """Such as `withdrawal.amount.units` or `inputs[0].index`."""
    value: Any
    rule: str
    """The id of the rule that must be named."""
    reported: str
    """The path that must be named; a rule of a message reports the message."""
    why: str

    def __str__(self) -> str:
        return f"{self.path}-{self.why}"


def leaves(message: Descriptor, prefix: str = "") -> Iterator[tuple[str, FieldDescriptor]]:
    """Every field a caller sets, with its path; fields of our messages in it too, of a list in its first."""
    for field in message.fields:
        if api.is_output_only(field) or _is_identifier(field):
            continue
        path = f"{prefix}{field.name}"
        yield path, field
        inner = field.message_type
        if inner is not None and inner.full_name.startswith("bailee."):
            yield from leaves(inner, f"{path}[0]." if field.is_repeated else f"{path}.")


def _is_identifier(field: FieldDescriptor) -> bool:
    """The name of a resource that is being created: set by the service from the request's id."""
    return api.behaviors(field) == {field_behavior_pb2.IDENTIFIER}


def mutations(request: Descriptor) -> list[Mutation]:
    """Everything that can be wrong with each field of a request, and with messages as a whole."""
    found = [each for path, field in leaves(request) for each in _of_field(path, field)]
    return found + list(_of_messages(request))


def rule_ids(request: Descriptor) -> set[tuple[str, str]]:
    """Path and id of every rule that a request's fields and messages have."""
    found = set()
    for path, field in leaves(request):
        found |= {(path, rule) for rule in _rules_of(field)}
        if field.message_type is not None and field.message_type.full_name.startswith("bailee."):
            found |= {(path, cel.id) for cel in _message_rules(field.message_type).cel}
    return found


def _message_rules(message: Descriptor) -> validate_pb2.MessageRules:
    return message.GetOptions().Extensions[validate_pb2.message]  # type: ignore[index]


def _rules_of(field: FieldDescriptor) -> list[str]:
    """Ids as violations carry them; a repeated field's items have rules of their own."""
    of = api.rules(field)
    found = ["required"] if of.required else []
    found += [cel.id for cel in of.cel]
    for kind, value in of.ListFields():
        if kind.message_type is None or kind.is_repeated:
            continue
        found += [f"{kind.name}.{rule.name}" for rule, _ in value.ListFields() if rule.name != "items"]
        if kind.name == "repeated" and value.HasField("items"):
            for inner, rules in value.items.ListFields():
                found += [f"items:{inner.name}.{rule.name}" for rule, _ in rules.ListFields()]
    return found


def _of_field(path: str, field: FieldDescriptor) -> Iterator[Mutation]:
    of = api.rules(field)
    for rule in _rules_of(field):
        reported = f"{path}[0]" if rule.startswith("items:") else path
        for value, why in _BAD_VALUES[rule](of):
            yield Mutation(path, value, reported_rule(rule), reported, f"{rule}-{why}")


def reported_rule(rule: str) -> str:
    """The id that a violation carries: a lower and an upper bound together are one rule."""
    return "int32.gte_lte" if rule in {"int32.gte", "int32.lte"} else rule.removeprefix("items:")


_Values = Iterable[tuple[Any, str]]

_BAD_VALUES: dict[str, Callable[[validate_pb2.FieldRules], _Values]] = {
    "required": lambda _: [(CLEARED, "left-out")],
    "string.pattern": lambda of: _off_pattern(of.string.pattern),
    "string.len": lambda of: [("", "empty"), ("a" * (of.string.len + 1), "too-long")],
    "string.min_len": lambda _: [("", "empty")],
    "string.max_len": lambda of: [
        ("a" * (of.string.max_len + 1), "over-long"),
        ("a" * 100_000, "very-long"),
    ],
    "bytes.len": lambda of: [
        (b"", "empty"),
        (b"\x01" * (of.bytes.len - 1), "too-short"),
        (b"\x01" * (of.bytes.len + 1), "too-long"),
    ],
    "bytes.min_len": lambda of: [(b"\x01" * (of.bytes.min_len - 1), "too-short")],
    "bytes.max_len": lambda of: [(b"\x01" * (of.bytes.max_len + 1), "over-long")],
    "int32.gte": lambda of: [(of.int32.gte - 1, "too-small"), (-(2**31), "very-negative")],
    "int32.lte": lambda of: [(of.int32.lte + 1, "too-large"), (2**31 - 1, "very-large")],
    "uint32.lte": lambda of: [(of.uint32.lte + 1, "too-large"), (2**32 - 1, "very-large")],
    "uint64.lte": lambda of: [(of.uint64.lte + 1, "too-large"), (2**64 - 1, "very-large")],
    "enum.defined_only": lambda _: [(99, "undefined")],
    "enum.not_in": lambda _: [(0, "unspecified")],
    "repeated.min_items": lambda _: [([], "none")],
    "repeated.max_items": lambda of: [(of.repeated.max_items + 1, "too-many")],
    "repeated.unique": lambda _: [("twice", "twice")],
    "items:string.pattern": lambda of: (
        ([value], why) for value, why in _off_pattern(of.repeated.items.string.pattern)
    ),
    "items:string.max_len": lambda of: [(["a" * (of.repeated.items.string.max_len + 1)], "over-long")],
    "items:bytes.min_len": lambda _: [([b""], "empty")],
    "items:bytes.max_len": lambda of: [([b"\x01" * (of.repeated.items.bytes.max_len + 1)], "over-long")],
    "amount.positive": lambda _: [("zero", "zero")],
}
"""By the id of the rule. A new kind of rule needs bad values here, or the tests fail."""


_OFF_UNITS = {
    "": "empty",
    "-1": "negative",
    "+1": "signed",
    "01": "leading-zero",
    "00": "two-zeros",
    "1.0": "fraction",
    "1e5": "exponent",
    " 1": "space",
    "1\n": "newline",
    "0x10": "hexadecimal",
    "1,000": "separator",
    "\N{ARABIC-INDIC DIGIT THREE}": "foreign-digit",
    "9" * 39: "too-large",
    "NaN": "nan",
}
_OFF_DIGEST = {
    "AB" * 32: "upper-case",
    "0x" + "ab" * 31: "prefix",
    "g" + "a" * 63: "no-hexadecimal",
    "ab" * 31 + "a\n": "newline",
}
_OFF_UUID = {
    "1B4E28BA-2FA1-4D3B-A3F5-EF19B5A7633B": "upper-case",
    "1b4e28ba-2fa1-11d2-883f-0016d3cca427": "version-1",
    "1b4e28ba-2fa1-4d3b-c3f5-ef19b5a7633b": "variant",
    "1b4e28ba2fa14d3ba3f5ef19b5a7633b0000": "no-hyphens",
    "gb4e28ba-2fa1-4d3b-a3f5-ef19b5a7633b": "no-hexadecimal",
}
_OFF_POLICY = {"policies/0": "zero", "policies/01": "leading-zero", "policies/latest": "word"}
_OFF_NAME = {
    "customers/client-one": "unknown-collection",
    "accounts": "no-id",
    "accounts/": "empty-id",
    "accounts/-": "wildcard",
    "accounts/Client-One": "upper-case",
    "accounts/client-one/": "trailing-slash",
    "accounts/client-one\n": "newline",
    "/accounts/client-one": "leading-slash",
    "accounts/../client-one": "climbing",
    "accounts/client-one/unknowns/abc": "unknown-child",
    "accounts/cli\u00e9nt": "accent",
}
_OFF_ID = {
    "ab": "too-short",
    "Client": "upper-case",
    "1abc": "digit-first",
    "a/bc": "slash",
    "a bc": "space",
    "abc\n": "newline",
    "\N{CYRILLIC SMALL LETTER A}bc": "cyrillic",
    "a" * 41: "too-long",
}


def _off_pattern(pattern: str) -> _Values:
    """Spellings that look right to somebody; which, by what the pattern is for."""
    if "[1-9][0-9]{0,37}" in pattern:
        zero = {"0": "zero"} if pattern.startswith("^[1-9]") else {}
        return (_OFF_UNITS | zero).items()
    if pattern == "^[0-9a-f]{64}$":
        return _OFF_DIGEST.items()
    if "4[0-9a-f]{3}" in pattern:
        return _OFF_UUID.items()
    if pattern.startswith("^policies/"):
        return _OFF_POLICY.items()
    return _OFF_NAME.items() if "/" in pattern else _OFF_ID.items()


def _of_messages(request: Descriptor) -> Iterator[Mutation]:
    """Rules between the fields of one message."""
    for path, field in leaves(request):
        if field.message_type is None or not field.message_type.full_name.startswith("bailee."):
            continue
        for cel in _message_rules(field.message_type).cel:
            yield from _CROSSED[cel.id](path, cel.id)


def _same_entity(path: str, rule: str) -> Iterator[Mutation]:
    yield Mutation(f"{path}.secured_party.entity", "client-one", rule, path, f"{rule}-same-entity")


def _other_fee_asset(path: str, rule: str) -> Iterator[Mutation]:
    yield Mutation(f"{path}.fee_cap.asset", 1, rule, path, f"{rule}-wrong-asset")


_CROSSED = {"account.parties_differ": _same_entity, "withdrawal.fee_asset": _other_fee_asset}
"""A new rule between fields needs a mutation here."""


def apply(request: Message, mutation: Mutation) -> None:
    """Make the change."""
    *outer, last = mutation.path.split(".")
    message: Any = request
    for name in outer:
        field, _, subscript = name.partition("[")
        message = getattr(message, field)
        message = message[int(subscript.removesuffix("]"))] if subscript else message
    current = getattr(message, last)
    if mutation.value is CLEARED:
        message.ClearField(last)
    elif mutation.value == "zero":
        current.units = "0"
    elif mutation.value == "twice":
        current.extend([current[0]])
    elif isinstance(mutation.value, int) and mutation.rule == "repeated.max_items":
        first, more = current[0], mutation.value - len(current)
        current.extend(f"{first}-{index}" if isinstance(first, str) else first for index in range(more))
    elif isinstance(mutation.value, list):
        del current[:]
        current.extend(mutation.value)
    else:
        setattr(message, last, mutation.value)
