from bailee.buf.validate import validate_pb2 as _validate_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Asset(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ASSET_UNSPECIFIED: _ClassVar[Asset]
    ASSET_BTC: _ClassVar[Asset]
    ASSET_ETH: _ClassVar[Asset]

class Network(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NETWORK_UNSPECIFIED: _ClassVar[Network]
    NETWORK_MAINNET: _ClassVar[Network]
    NETWORK_TESTNET: _ClassVar[Network]
    NETWORK_REGTEST: _ClassVar[Network]
ASSET_UNSPECIFIED: Asset
ASSET_BTC: Asset
ASSET_ETH: Asset
NETWORK_UNSPECIFIED: Network
NETWORK_MAINNET: Network
NETWORK_TESTNET: Network
NETWORK_REGTEST: Network

class Amount(_message.Message):
    __slots__ = ("asset", "units")
    ASSET_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    asset: Asset
    units: str
    def __init__(self, asset: _Optional[_Union[Asset, str]] = ..., units: _Optional[str] = ...) -> None: ...

class ChainAddress(_message.Message):
    __slots__ = ("bitcoin_script_pubkey", "ethereum_address", "display")
    BITCOIN_SCRIPT_PUBKEY_FIELD_NUMBER: _ClassVar[int]
    ETHEREUM_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_FIELD_NUMBER: _ClassVar[int]
    bitcoin_script_pubkey: bytes
    ethereum_address: bytes
    display: str
    def __init__(self, bitcoin_script_pubkey: _Optional[bytes] = ..., ethereum_address: _Optional[bytes] = ..., display: _Optional[str] = ...) -> None: ...
