from bailee.custody.v1 import account_pb2 as _account_pb2
from bailee.custody.v1 import destination_pb2 as _destination_pb2
from bailee.buf.validate import validate_pb2 as _validate_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreateAccountRequest(_message.Message):
    __slots__ = ("request_id", "account_id", "account", "validate_only")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    account_id: str
    account: _account_pb2.Account
    validate_only: bool
    def __init__(self, request_id: _Optional[str] = ..., account_id: _Optional[str] = ..., account: _Optional[_Union[_account_pb2.Account, _Mapping]] = ..., validate_only: _Optional[bool] = ...) -> None: ...

class SignAccountRequest(_message.Message):
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

class LiftHaltRequest(_message.Message):
    __slots__ = ("name", "request_id", "etag", "halt")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    HALT_FIELD_NUMBER: _ClassVar[int]
    name: str
    request_id: str
    etag: str
    halt: _account_pb2.Account.Halt
    def __init__(self, name: _Optional[str] = ..., request_id: _Optional[str] = ..., etag: _Optional[str] = ..., halt: _Optional[_Union[_account_pb2.Account.Halt, str]] = ...) -> None: ...

class CreateDestinationRequest(_message.Message):
    __slots__ = ("parent", "destination_id", "request_id", "envelope", "validate_only")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    parent: str
    destination_id: str
    request_id: str
    envelope: bytes
    validate_only: bool
    def __init__(self, parent: _Optional[str] = ..., destination_id: _Optional[str] = ..., request_id: _Optional[str] = ..., envelope: _Optional[bytes] = ..., validate_only: _Optional[bool] = ...) -> None: ...
