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

class Withdrawal(_message.Message):
    __slots__ = ("name", "amount", "fee_cap", "destination", "destination_address", "maker_entity", "state", "intent", "intent_digest", "intent_envelope", "release_envelope", "signatures", "missing_signatures", "receipts", "refusals", "attempts", "anchor", "timelock_end_time", "expire_time", "settle_time", "account_sequence", "create_time", "update_time", "etag")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Withdrawal.State]
        STATE_REQUESTED: _ClassVar[Withdrawal.State]
        STATE_AWAITING_SIGNATURES: _ClassVar[Withdrawal.State]
        STATE_ANNOUNCING: _ClassVar[Withdrawal.State]
        STATE_TIMELOCKED: _ClassVar[Withdrawal.State]
        STATE_SIGNING: _ClassVar[Withdrawal.State]
        STATE_BROADCAST: _ClassVar[Withdrawal.State]
        STATE_CONFIRMING: _ClassVar[Withdrawal.State]
        STATE_SETTLED: _ClassVar[Withdrawal.State]
        STATE_CANCELLED: _ClassVar[Withdrawal.State]
        STATE_EXPIRED: _ClassVar[Withdrawal.State]
        STATE_SIGNED: _ClassVar[Withdrawal.State]
    STATE_UNSPECIFIED: Withdrawal.State
    STATE_REQUESTED: Withdrawal.State
    STATE_AWAITING_SIGNATURES: Withdrawal.State
    STATE_ANNOUNCING: Withdrawal.State
    STATE_TIMELOCKED: Withdrawal.State
    STATE_SIGNING: Withdrawal.State
    STATE_BROADCAST: Withdrawal.State
    STATE_CONFIRMING: Withdrawal.State
    STATE_SETTLED: Withdrawal.State
    STATE_CANCELLED: Withdrawal.State
    STATE_EXPIRED: Withdrawal.State
    STATE_SIGNED: Withdrawal.State
    class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ROLE_UNSPECIFIED: _ClassVar[Withdrawal.Role]
        ROLE_MAKER: _ClassVar[Withdrawal.Role]
        ROLE_SECURED_PARTY: _ClassVar[Withdrawal.Role]
        ROLE_APPROVER: _ClassVar[Withdrawal.Role]
    ROLE_UNSPECIFIED: Withdrawal.Role
    ROLE_MAKER: Withdrawal.Role
    ROLE_SECURED_PARTY: Withdrawal.Role
    ROLE_APPROVER: Withdrawal.Role
    class Signature(_message.Message):
        __slots__ = ("role", "entity", "key_id", "sign_time")
        ROLE_FIELD_NUMBER: _ClassVar[int]
        ENTITY_FIELD_NUMBER: _ClassVar[int]
        KEY_ID_FIELD_NUMBER: _ClassVar[int]
        SIGN_TIME_FIELD_NUMBER: _ClassVar[int]
        role: Withdrawal.Role
        entity: str
        key_id: str
        sign_time: _timestamp_pb2.Timestamp
        def __init__(self, role: _Optional[_Union[Withdrawal.Role, str]] = ..., entity: _Optional[str] = ..., key_id: _Optional[str] = ..., sign_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
    class MissingSignature(_message.Message):
        __slots__ = ("role", "entities", "count", "description")
        ROLE_FIELD_NUMBER: _ClassVar[int]
        ENTITIES_FIELD_NUMBER: _ClassVar[int]
        COUNT_FIELD_NUMBER: _ClassVar[int]
        DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
        role: Withdrawal.Role
        entities: _containers.RepeatedScalarFieldContainer[str]
        count: int
        description: str
        def __init__(self, role: _Optional[_Union[Withdrawal.Role, str]] = ..., entities: _Optional[_Iterable[str]] = ..., count: _Optional[int] = ..., description: _Optional[str] = ...) -> None: ...
    class Receipt(_message.Message):
        __slots__ = ("signer", "act", "tag", "receipt_time", "envelope")
        class Act(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            ACT_UNSPECIFIED: _ClassVar[Withdrawal.Receipt.Act]
            ACT_ANNOUNCED: _ClassVar[Withdrawal.Receipt.Act]
            ACT_SIGNED: _ClassVar[Withdrawal.Receipt.Act]
            ACT_REFUSED: _ClassVar[Withdrawal.Receipt.Act]
        ACT_UNSPECIFIED: Withdrawal.Receipt.Act
        ACT_ANNOUNCED: Withdrawal.Receipt.Act
        ACT_SIGNED: Withdrawal.Receipt.Act
        ACT_REFUSED: Withdrawal.Receipt.Act
        SIGNER_FIELD_NUMBER: _ClassVar[int]
        ACT_FIELD_NUMBER: _ClassVar[int]
        TAG_FIELD_NUMBER: _ClassVar[int]
        RECEIPT_TIME_FIELD_NUMBER: _ClassVar[int]
        ENVELOPE_FIELD_NUMBER: _ClassVar[int]
        signer: str
        act: Withdrawal.Receipt.Act
        tag: str
        receipt_time: _timestamp_pb2.Timestamp
        envelope: bytes
        def __init__(self, signer: _Optional[str] = ..., act: _Optional[_Union[Withdrawal.Receipt.Act, str]] = ..., tag: _Optional[str] = ..., receipt_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., envelope: _Optional[bytes] = ...) -> None: ...
    class Attempt(_message.Message):
        __slots__ = ("number", "transaction_id", "fee", "state", "block_hash", "block_height", "confirmations", "create_time")
        class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            STATE_UNSPECIFIED: _ClassVar[Withdrawal.Attempt.State]
            STATE_SIGNED: _ClassVar[Withdrawal.Attempt.State]
            STATE_BROADCAST: _ClassVar[Withdrawal.Attempt.State]
            STATE_CONFIRMING: _ClassVar[Withdrawal.Attempt.State]
            STATE_FINAL: _ClassVar[Withdrawal.Attempt.State]
            STATE_REPLACED: _ClassVar[Withdrawal.Attempt.State]
        STATE_UNSPECIFIED: Withdrawal.Attempt.State
        STATE_SIGNED: Withdrawal.Attempt.State
        STATE_BROADCAST: Withdrawal.Attempt.State
        STATE_CONFIRMING: Withdrawal.Attempt.State
        STATE_FINAL: Withdrawal.Attempt.State
        STATE_REPLACED: Withdrawal.Attempt.State
        NUMBER_FIELD_NUMBER: _ClassVar[int]
        TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
        FEE_FIELD_NUMBER: _ClassVar[int]
        STATE_FIELD_NUMBER: _ClassVar[int]
        BLOCK_HASH_FIELD_NUMBER: _ClassVar[int]
        BLOCK_HEIGHT_FIELD_NUMBER: _ClassVar[int]
        CONFIRMATIONS_FIELD_NUMBER: _ClassVar[int]
        CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
        number: int
        transaction_id: str
        fee: _amount_pb2.Amount
        state: Withdrawal.Attempt.State
        block_hash: str
        block_height: int
        confirmations: int
        create_time: _timestamp_pb2.Timestamp
        def __init__(self, number: _Optional[int] = ..., transaction_id: _Optional[str] = ..., fee: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., state: _Optional[_Union[Withdrawal.Attempt.State, str]] = ..., block_hash: _Optional[str] = ..., block_height: _Optional[int] = ..., confirmations: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    FEE_CAP_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    MAKER_ENTITY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    INTENT_FIELD_NUMBER: _ClassVar[int]
    INTENT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    INTENT_ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    RELEASE_ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    SIGNATURES_FIELD_NUMBER: _ClassVar[int]
    MISSING_SIGNATURES_FIELD_NUMBER: _ClassVar[int]
    RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    ANCHOR_FIELD_NUMBER: _ClassVar[int]
    TIMELOCK_END_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    SETTLE_TIME_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    name: str
    amount: _amount_pb2.Amount
    fee_cap: _amount_pb2.Amount
    destination: str
    destination_address: _amount_pb2.ChainAddress
    maker_entity: str
    state: Withdrawal.State
    intent: bytes
    intent_digest: str
    intent_envelope: bytes
    release_envelope: bytes
    signatures: _containers.RepeatedCompositeFieldContainer[Withdrawal.Signature]
    missing_signatures: _containers.RepeatedCompositeFieldContainer[Withdrawal.MissingSignature]
    receipts: _containers.RepeatedCompositeFieldContainer[Withdrawal.Receipt]
    refusals: _containers.RepeatedCompositeFieldContainer[Withdrawal.Receipt]
    attempts: _containers.RepeatedCompositeFieldContainer[Withdrawal.Attempt]
    anchor: str
    timelock_end_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    settle_time: _timestamp_pb2.Timestamp
    account_sequence: int
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    etag: str
    def __init__(self, name: _Optional[str] = ..., amount: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., fee_cap: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., destination: _Optional[str] = ..., destination_address: _Optional[_Union[_amount_pb2.ChainAddress, _Mapping]] = ..., maker_entity: _Optional[str] = ..., state: _Optional[_Union[Withdrawal.State, str]] = ..., intent: _Optional[bytes] = ..., intent_digest: _Optional[str] = ..., intent_envelope: _Optional[bytes] = ..., release_envelope: _Optional[bytes] = ..., signatures: _Optional[_Iterable[_Union[Withdrawal.Signature, _Mapping]]] = ..., missing_signatures: _Optional[_Iterable[_Union[Withdrawal.MissingSignature, _Mapping]]] = ..., receipts: _Optional[_Iterable[_Union[Withdrawal.Receipt, _Mapping]]] = ..., refusals: _Optional[_Iterable[_Union[Withdrawal.Receipt, _Mapping]]] = ..., attempts: _Optional[_Iterable[_Union[Withdrawal.Attempt, _Mapping]]] = ..., anchor: _Optional[str] = ..., timelock_end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., settle_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., account_sequence: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ...) -> None: ...
