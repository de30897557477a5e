"""The API as descriptors, found from the .proto files on disk so that nothing new escapes the tests."""

import importlib
from collections.abc import Iterator
from pathlib import Path

import protovalidate
from bailee.buf.validate import validate_pb2
from google.api import field_behavior_pb2  # type: ignore[import-untyped]
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message

PROTO = Path(__file__).resolve().parents[3] / "proto"
CUSTODY = "bailee.custody.v1."


def files() -> list[FileDescriptor]:
    names = sorted(path.relative_to(PROTO).with_suffix("") for path in (PROTO / "bailee").rglob("*.proto"))
    return [importlib.import_module(".".join(name.parts) + "_pb2").DESCRIPTOR for name in names]


def methods() -> list[MethodDescriptor]:
    return [
        method for file in files() for service in file.services_by_name.values() for method in service.methods
    ]


def messages() -> list[Descriptor]:
    def nested(message: Descriptor) -> Iterator[Descriptor]:
        yield message
        for inner in message.nested_types:
            yield from nested(inner)

    return [each for file in files() for top in file.message_types_by_name.values() for each in nested(top)]


def is_read(method: MethodDescriptor) -> bool:
    return bool(method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS)


def behaviors(field: FieldDescriptor) -> set[int]:
    return set(field.GetOptions().Extensions[field_behavior_pb2.field_behavior])


def is_output_only(field: FieldDescriptor) -> bool:
    return field_behavior_pb2.OUTPUT_ONLY in behaviors(field)


def is_required(field: FieldDescriptor) -> bool:
    return field_behavior_pb2.REQUIRED in behaviors(field)


def rules(field: FieldDescriptor) -> validate_pb2.FieldRules:
    return field.GetOptions().Extensions[validate_pb2.field]  # type: ignore[index]


def request_fields(request: Descriptor) -> Iterator[FieldDescriptor]:
    """Every field of a request and of our messages in it; output-only messages are not entered."""
    for field in request.fields:
        yield field
        inner = field.message_type
        if inner is not None and inner.full_name.startswith("bailee.") and not is_output_only(field):
            yield from request_fields(inner)


def is_bounded(field: FieldDescriptor) -> bool:
    """Whether the rules bound a string or bytes field, or the number and size of a repeated one's items."""
    if field.is_repeated:
        repeated = rules(field).repeated
        item = _scalar_is_bounded(field, repeated.items)
        return repeated.HasField("max_items") and item
    return _scalar_is_bounded(field, rules(field))


def _scalar_is_bounded(field: FieldDescriptor, of: validate_pb2.FieldRules) -> bool:
    if field.type == FieldDescriptor.TYPE_STRING:
        return of.string.HasField("max_len") or of.string.HasField("len")
    if field.type == FieldDescriptor.TYPE_BYTES:
        return of.bytes.HasField("max_len") or of.bytes.HasField("len")
    return True


def broken_rules(message: Message) -> list[tuple[str, str]]:
    """Path of the field and id of the rule, for every rule that a message breaks."""
    return [
        (".".join(element.field_name for element in violation.field.elements), violation.rule_id)
        for violation in (found.proto for found in protovalidate.collect_violations(message))
        if violation.field is not None
    ]
