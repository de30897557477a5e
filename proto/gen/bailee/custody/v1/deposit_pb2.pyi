import datetime

from bailee.custody.v1 import amount_pb2 as _amount_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Deposit(_message.Message):
    __slots__ = ("name", "amount", "state", "transaction_id", "output_index", "block_hash", "block_height", "confirmations", "credit_time", "reverse_time", "create_time", "update_time", "etag")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Deposit.State]
        STATE_PENDING: _ClassVar[Deposit.State]
        STATE_CREDITED: _ClassVar[Deposit.State]
        STATE_REVERSED: _ClassVar[Deposit.State]
    STATE_UNSPECIFIED: Deposit.State
    STATE_PENDING: Deposit.State
    STATE_CREDITED: Deposit.State
    STATE_REVERSED: Deposit.State
    NAME_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_INDEX_FIELD_NUMBER: _ClassVar[int]
    BLOCK_HASH_FIELD_NUMBER: _ClassVar[int]
    BLOCK_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    CONFIRMATIONS_FIELD_NUMBER: _ClassVar[int]
    CREDIT_TIME_FIELD_NUMBER: _ClassVar[int]
    REVERSE_TIME_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    name: str
    amount: _amount_pb2.Amount
    state: Deposit.State
    transaction_id: str
    output_index: int
    block_hash: str
    block_height: int
    confirmations: int
    credit_time: _timestamp_pb2.Timestamp
    reverse_time: _timestamp_pb2.Timestamp
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    etag: str
    def __init__(self, name: _Optional[str] = ..., amount: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., state: _Optional[_Union[Deposit.State, str]] = ..., transaction_id: _Optional[str] = ..., output_index: _Optional[int] = ..., block_hash: _Optional[str] = ..., block_height: _Optional[int] = ..., confirmations: _Optional[int] = ..., credit_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reverse_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ...) -> None: ...
