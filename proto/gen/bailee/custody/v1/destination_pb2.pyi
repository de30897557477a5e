import datetime

from bailee.custody.v1 import amount_pb2 as _amount_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Destination(_message.Message):
    __slots__ = ("name", "asset", "address", "state", "envelope", "statement_digest", "approving_entities", "missing_approvals", "usable_time", "create_time", "update_time", "etag")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Destination.State]
        STATE_PENDING_APPROVAL: _ClassVar[Destination.State]
        STATE_COOLING: _ClassVar[Destination.State]
        STATE_USABLE: _ClassVar[Destination.State]
    STATE_UNSPECIFIED: Destination.State
    STATE_PENDING_APPROVAL: Destination.State
    STATE_COOLING: Destination.State
    STATE_USABLE: Destination.State
    NAME_FIELD_NUMBER: _ClassVar[int]
    ASSET_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    APPROVING_ENTITIES_FIELD_NUMBER: _ClassVar[int]
    MISSING_APPROVALS_FIELD_NUMBER: _ClassVar[int]
    USABLE_TIME_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    name: str
    asset: _amount_pb2.Asset
    address: _amount_pb2.ChainAddress
    state: Destination.State
    envelope: bytes
    statement_digest: str
    approving_entities: _containers.RepeatedScalarFieldContainer[str]
    missing_approvals: int
    usable_time: _timestamp_pb2.Timestamp
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    etag: str
    def __init__(self, name: _Optional[str] = ..., asset: _Optional[_Union[_amount_pb2.Asset, str]] = ..., address: _Optional[_Union[_amount_pb2.ChainAddress, _Mapping]] = ..., state: _Optional[_Union[Destination.State, str]] = ..., envelope: _Optional[bytes] = ..., statement_digest: _Optional[str] = ..., approving_entities: _Optional[_Iterable[str]] = ..., missing_approvals: _Optional[int] = ..., usable_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ...) -> None: ...
