import datetime

from bailee.custody.v1 import amount_pb2 as _amount_pb2
from bailee.custody.v1 import cause_pb2 as _cause_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Posting(_message.Message):
    __slots__ = ("name", "account_sequence", "amount", "debit", "credit", "cause", "resource", "create_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    DEBIT_FIELD_NUMBER: _ClassVar[int]
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    account_sequence: int
    amount: _amount_pb2.Amount
    debit: str
    credit: str
    cause: _cause_pb2.Cause
    resource: str
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., account_sequence: _Optional[int] = ..., amount: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., debit: _Optional[str] = ..., credit: _Optional[str] = ..., cause: _Optional[_Union[_cause_pb2.Cause, str]] = ..., resource: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
