from bailee.custody.v1 import withdrawal_pb2 as _withdrawal_pb2
from bailee.buf.validate import validate_pb2 as _validate_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreateWithdrawalRequest(_message.Message):
    __slots__ = ("parent", "withdrawal_id", "request_id", "withdrawal", "validate_only")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWAL_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWAL_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    parent: str
    withdrawal_id: str
    request_id: str
    withdrawal: _withdrawal_pb2.Withdrawal
    validate_only: bool
    def __init__(self, parent: _Optional[str] = ..., withdrawal_id: _Optional[str] = ..., request_id: _Optional[str] = ..., withdrawal: _Optional[_Union[_withdrawal_pb2.Withdrawal, _Mapping]] = ..., validate_only: _Optional[bool] = ...) -> None: ...

class SignWithdrawalRequest(_message.Message):
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

class ReleaseWithdrawalRequest(_message.Message):
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

class CancelWithdrawalRequest(_message.Message):
    __slots__ = ("name", "request_id", "etag")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    name: str
    request_id: str
    etag: str
    def __init__(self, name: _Optional[str] = ..., request_id: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...
