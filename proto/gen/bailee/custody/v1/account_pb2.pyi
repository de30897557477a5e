import datetime

from bailee.custody.v1 import amount_pb2 as _amount_pb2
from bailee.buf.validate import validate_pb2 as _validate_pb2
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

class Account(_message.Message):
    __slots__ = ("name", "pledgor", "secured_party", "enforcement", "custodian", "network", "state", "halt_reason", "statement", "statement_digest", "envelope", "missing_signatures", "bitcoin_address", "bitcoin_descriptor", "ethereum_address", "ethereum_key_custody", "account_sequence", "encumbrance_sequence", "encumbrance_digest", "create_time", "update_time", "etag", "halts")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Account.State]
        STATE_CREATING_KEYS: _ClassVar[Account.State]
        STATE_AWAITING_SIGNATURES: _ClassVar[Account.State]
        STATE_COSIGNING: _ClassVar[Account.State]
        STATE_PROVING_OWNERSHIP: _ClassVar[Account.State]
        STATE_ACTIVE: _ClassVar[Account.State]
        STATE_HALTED: _ClassVar[Account.State]
    STATE_UNSPECIFIED: Account.State
    STATE_CREATING_KEYS: Account.State
    STATE_AWAITING_SIGNATURES: Account.State
    STATE_COSIGNING: Account.State
    STATE_PROVING_OWNERSHIP: Account.State
    STATE_ACTIVE: Account.State
    STATE_HALTED: Account.State
    class Halt(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        HALT_UNSPECIFIED: _ClassVar[Account.Halt]
        HALT_REORG_SHORTFALL: _ClassVar[Account.Halt]
        HALT_UNKNOWN_SPEND: _ClassVar[Account.Halt]
        HALT_FINALITY_REORG: _ClassVar[Account.Halt]
        HALT_RECONCILIATION: _ClassVar[Account.Halt]
        HALT_AWAITING_RECONCILIATION: _ClassVar[Account.Halt]
    HALT_UNSPECIFIED: Account.Halt
    HALT_REORG_SHORTFALL: Account.Halt
    HALT_UNKNOWN_SPEND: Account.Halt
    HALT_FINALITY_REORG: Account.Halt
    HALT_RECONCILIATION: Account.Halt
    HALT_AWAITING_RECONCILIATION: Account.Halt
    class EthereumKeyCustody(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ETHEREUM_KEY_CUSTODY_UNSPECIFIED: _ClassVar[Account.EthereumKeyCustody]
        ETHEREUM_KEY_CUSTODY_SINGLE_HOLDER: _ClassVar[Account.EthereumKeyCustody]
        ETHEREUM_KEY_CUSTODY_THRESHOLD: _ClassVar[Account.EthereumKeyCustody]
    ETHEREUM_KEY_CUSTODY_UNSPECIFIED: Account.EthereumKeyCustody
    ETHEREUM_KEY_CUSTODY_SINGLE_HOLDER: Account.EthereumKeyCustody
    ETHEREUM_KEY_CUSTODY_THRESHOLD: Account.EthereumKeyCustody
    class Party(_message.Message):
        __slots__ = ("entity", "public_key")
        ENTITY_FIELD_NUMBER: _ClassVar[int]
        PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
        entity: str
        public_key: bytes
        def __init__(self, entity: _Optional[str] = ..., public_key: _Optional[bytes] = ...) -> None: ...
    class Enforcement(_message.Message):
        __slots__ = ("bitcoin_script_pubkey", "ethereum_address")
        BITCOIN_SCRIPT_PUBKEY_FIELD_NUMBER: _ClassVar[int]
        ETHEREUM_ADDRESS_FIELD_NUMBER: _ClassVar[int]
        bitcoin_script_pubkey: bytes
        ethereum_address: bytes
        def __init__(self, bitcoin_script_pubkey: _Optional[bytes] = ..., ethereum_address: _Optional[bytes] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    PLEDGOR_FIELD_NUMBER: _ClassVar[int]
    SECURED_PARTY_FIELD_NUMBER: _ClassVar[int]
    ENFORCEMENT_FIELD_NUMBER: _ClassVar[int]
    CUSTODIAN_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    HALT_REASON_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    MISSING_SIGNATURES_FIELD_NUMBER: _ClassVar[int]
    BITCOIN_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    BITCOIN_DESCRIPTOR_FIELD_NUMBER: _ClassVar[int]
    ETHEREUM_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    ETHEREUM_KEY_CUSTODY_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ENCUMBRANCE_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ENCUMBRANCE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    HALTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    pledgor: Account.Party
    secured_party: Account.Party
    enforcement: Account.Enforcement
    custodian: Account.Party
    network: _amount_pb2.Network
    state: Account.State
    halt_reason: str
    statement: bytes
    statement_digest: str
    envelope: bytes
    missing_signatures: _containers.RepeatedScalarFieldContainer[str]
    bitcoin_address: _amount_pb2.ChainAddress
    bitcoin_descriptor: str
    ethereum_address: _amount_pb2.ChainAddress
    ethereum_key_custody: Account.EthereumKeyCustody
    account_sequence: int
    encumbrance_sequence: int
    encumbrance_digest: str
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    etag: str
    halts: _containers.RepeatedScalarFieldContainer[Account.Halt]
    def __init__(self, name: _Optional[str] = ..., pledgor: _Optional[_Union[Account.Party, _Mapping]] = ..., secured_party: _Optional[_Union[Account.Party, _Mapping]] = ..., enforcement: _Optional[_Union[Account.Enforcement, _Mapping]] = ..., custodian: _Optional[_Union[Account.Party, _Mapping]] = ..., network: _Optional[_Union[_amount_pb2.Network, str]] = ..., state: _Optional[_Union[Account.State, str]] = ..., halt_reason: _Optional[str] = ..., statement: _Optional[bytes] = ..., statement_digest: _Optional[str] = ..., envelope: _Optional[bytes] = ..., missing_signatures: _Optional[_Iterable[str]] = ..., bitcoin_address: _Optional[_Union[_amount_pb2.ChainAddress, _Mapping]] = ..., bitcoin_descriptor: _Optional[str] = ..., ethereum_address: _Optional[_Union[_amount_pb2.ChainAddress, _Mapping]] = ..., ethereum_key_custody: _Optional[_Union[Account.EthereumKeyCustody, str]] = ..., account_sequence: _Optional[int] = ..., encumbrance_sequence: _Optional[int] = ..., encumbrance_digest: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ..., halts: _Optional[_Iterable[_Union[Account.Halt, str]]] = ...) -> None: ...
