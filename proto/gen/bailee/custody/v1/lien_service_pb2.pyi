from bailee.custody.v1 import lien_pb2 as _lien_pb2
from bailee.buf.validate import validate_pb2 as _validate_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class ReserveLienRequest(_message.Message):
    __slots__ = ("parent", "lien_id", "request_id", "envelope", "validate_only")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    LIEN_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    parent: str
    lien_id: str
    request_id: str
    envelope: bytes
    validate_only: bool
    def __init__(self, parent: _Optional[str] = ..., lien_id: _Optional[str] = ..., request_id: _Optional[str] = ..., envelope: _Optional[bytes] = ..., validate_only: _Optional[bool] = ...) -> None: ...

class PostLienRequest(_message.Message):
    __slots__ = ("name", "request_id", "envelope")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    name: str
    request_id: str
    envelope: bytes
    def __init__(self, name: _Optional[str] = ..., request_id: _Optional[str] = ..., envelope: _Optional[bytes] = ...) -> None: ...

class VoidLienRequest(_message.Message):
    __slots__ = ("name", "request_id", "envelope")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    name: str
    request_id: str
    envelope: bytes
    def __init__(self, name: _Optional[str] = ..., request_id: _Optional[str] = ..., envelope: _Optional[bytes] = ...) -> None: ...
