from bailee.custody.v1 import price_pb2 as _price_pb2
from bailee.buf.validate import validate_pb2 as _validate_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PublishPricesRequest(_message.Message):
    __slots__ = ("request_id", "envelopes")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ENVELOPES_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    envelopes: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, request_id: _Optional[str] = ..., envelopes: _Optional[_Iterable[bytes]] = ...) -> None: ...

class PublishPricesResponse(_message.Message):
    __slots__ = ("prices",)
    PRICES_FIELD_NUMBER: _ClassVar[int]
    prices: _containers.RepeatedCompositeFieldContainer[_price_pb2.Price]
    def __init__(self, prices: _Optional[_Iterable[_Union[_price_pb2.Price, _Mapping]]] = ...) -> None: ...
