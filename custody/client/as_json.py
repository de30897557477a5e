"""Resources as JSON values: protobuf's own mapping, with the field names of the API."""

from typing import Any

from google.protobuf.json_format import Error as JsonError
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from custody.client.errors import VerificationError


def as_json(resource: Message) -> dict[str, Any]:
    """A resource by ProtoJSON: 64-bit integers and times as strings, bytes as base64, enums by name.

    Fields without a value are present, so that a script finds every field of every resource.

    Raises:
        VerificationError: it has no such form; a time that no calendar has.
    """
    try:
        value: dict[str, Any] = MessageToDict(
            resource, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
    except JsonError as error:
        raise VerificationError(f"{resource.DESCRIPTOR.name}: {error}") from error
    return value
