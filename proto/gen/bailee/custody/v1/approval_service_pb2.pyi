from bailee.custody.v1 import destination_pb2 as _destination_pb2
from bailee.custody.v1 import withdrawal_pb2 as _withdrawal_pb2
from bailee.buf.validate import validate_pb2 as _validate_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class ApproveWithdrawalRequest(_message.Message):
    __slots__ = ("name", "request_id", "etag", "envelope")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    name: str
    request_id: str
    etag: str
    envelope: bytes
    def __init__(self, name: _Optional[str] = ..., request_id: _Optional[str] = ..., etag: _Optional[str] = ..., envelope: _Optional[bytes] = ...) -> None: ...

class ApproveDestinationRequest(_message.Message):
    __slots__ = ("name", "request_id", "etag", "envelope")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    name: str
    request_id: str
    etag: str
    envelope: bytes
    def __init__(self, name: _Optional[str] = ..., request_id: _Optional[str] = ..., etag: _Optional[str] = ..., envelope: _Optional[bytes] = ...) -> None: ...
