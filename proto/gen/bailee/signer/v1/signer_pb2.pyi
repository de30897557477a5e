from bailee.buf.validate import validate_pb2 as _validate_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Chain(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHAIN_UNSPECIFIED: _ClassVar[Chain]
    CHAIN_BITCOIN: _ClassVar[Chain]
    CHAIN_ETHEREUM: _ClassVar[Chain]

class Act(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACT_UNSPECIFIED: _ClassVar[Act]
    ACT_ANNOUNCED: _ClassVar[Act]
    ACT_SIGNED: _ClassVar[Act]
    ACT_REFUSED: _ClassVar[Act]
CHAIN_UNSPECIFIED: Chain
CHAIN_BITCOIN: Chain
CHAIN_ETHEREUM: Chain
ACT_UNSPECIFIED: Act
ACT_ANNOUNCED: Act
ACT_SIGNED: Act
ACT_REFUSED: Act

class CreateAccountKeyRequest(_message.Message):
    __slots__ = ("account_id", "chain")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    chain: Chain
    def __init__(self, account_id: _Optional[str] = ..., chain: _Optional[_Union[Chain, str]] = ...) -> None: ...

class CreateAccountKeyResponse(_message.Message):
    __slots__ = ("envelope", "holder")
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    envelope: bytes
    holder: str
    def __init__(self, envelope: _Optional[bytes] = ..., holder: _Optional[str] = ...) -> None: ...

class CosignAccountRequest(_message.Message):
    __slots__ = ("account", "account_keys")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_KEYS_FIELD_NUMBER: _ClassVar[int]
    account: bytes
    account_keys: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, account: _Optional[bytes] = ..., account_keys: _Optional[_Iterable[bytes]] = ...) -> None: ...

class CosignAccountResponse(_message.Message):
    __slots__ = ("envelope",)
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    envelope: bytes
    def __init__(self, envelope: _Optional[bytes] = ...) -> None: ...

class ProveOwnershipRequest(_message.Message):
    __slots__ = ("account_id", "account_digest")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    account_digest: str
    def __init__(self, account_id: _Optional[str] = ..., account_digest: _Optional[str] = ...) -> None: ...

class ProveOwnershipResponse(_message.Message):
    __slots__ = ("bitcoin", "ethereum")
    class BitcoinProof(_message.Message):
        __slots__ = ("signer_id", "signature")
        SIGNER_ID_FIELD_NUMBER: _ClassVar[int]
        SIGNATURE_FIELD_NUMBER: _ClassVar[int]
        signer_id: str
        signature: bytes
        def __init__(self, signer_id: _Optional[str] = ..., signature: _Optional[bytes] = ...) -> None: ...
    class EthereumProof(_message.Message):
        __slots__ = ("signature",)
        SIGNATURE_FIELD_NUMBER: _ClassVar[int]
        signature: bytes
        def __init__(self, signature: _Optional[bytes] = ...) -> None: ...
    BITCOIN_FIELD_NUMBER: _ClassVar[int]
    ETHEREUM_FIELD_NUMBER: _ClassVar[int]
    bitcoin: ProveOwnershipResponse.BitcoinProof
    ethereum: ProveOwnershipResponse.EthereumProof
    def __init__(self, bitcoin: _Optional[_Union[ProveOwnershipResponse.BitcoinProof, _Mapping]] = ..., ethereum: _Optional[_Union[ProveOwnershipResponse.EthereumProof, _Mapping]] = ...) -> None: ...

class AnnounceRequest(_message.Message):
    __slots__ = ("intent", "release", "allowlist_entry")
    INTENT_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    ALLOWLIST_ENTRY_FIELD_NUMBER: _ClassVar[int]
    intent: bytes
    release: bytes
    allowlist_entry: bytes
    def __init__(self, intent: _Optional[bytes] = ..., release: _Optional[bytes] = ..., allowlist_entry: _Optional[bytes] = ...) -> None: ...

class AnnounceResponse(_message.Message):
    __slots__ = ("receipt",)
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    receipt: bytes
    def __init__(self, receipt: _Optional[bytes] = ...) -> None: ...

class SignRequest(_message.Message):
    __slots__ = ("intent_digest", "fee_units", "bitcoin_inputs", "announce_receipts", "partial_signatures")
    class BitcoinInput(_message.Message):
        __slots__ = ("previous_transaction", "output_index")
        PREVIOUS_TRANSACTION_FIELD_NUMBER: _ClassVar[int]
        OUTPUT_INDEX_FIELD_NUMBER: _ClassVar[int]
        previous_transaction: bytes
        output_index: int
        def __init__(self, previous_transaction: _Optional[bytes] = ..., output_index: _Optional[int] = ...) -> None: ...
    class PartialSignatures(_message.Message):
        __slots__ = ("signer_id", "signatures")
        SIGNER_ID_FIELD_NUMBER: _ClassVar[int]
        SIGNATURES_FIELD_NUMBER: _ClassVar[int]
        signer_id: str
        signatures: _containers.RepeatedScalarFieldContainer[bytes]
        def __init__(self, signer_id: _Optional[str] = ..., signatures: _Optional[_Iterable[bytes]] = ...) -> None: ...
    INTENT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    FEE_UNITS_FIELD_NUMBER: _ClassVar[int]
    BITCOIN_INPUTS_FIELD_NUMBER: _ClassVar[int]
    ANNOUNCE_RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_SIGNATURES_FIELD_NUMBER: _ClassVar[int]
    intent_digest: str
    fee_units: str
    bitcoin_inputs: _containers.RepeatedCompositeFieldContainer[SignRequest.BitcoinInput]
    announce_receipts: _containers.RepeatedScalarFieldContainer[bytes]
    partial_signatures: _containers.RepeatedCompositeFieldContainer[SignRequest.PartialSignatures]
    def __init__(self, intent_digest: _Optional[str] = ..., fee_units: _Optional[str] = ..., bitcoin_inputs: _Optional[_Iterable[_Union[SignRequest.BitcoinInput, _Mapping]]] = ..., announce_receipts: _Optional[_Iterable[bytes]] = ..., partial_signatures: _Optional[_Iterable[_Union[SignRequest.PartialSignatures, _Mapping]]] = ...) -> None: ...

class SignResponse(_message.Message):
    __slots__ = ("bitcoin", "ethereum", "receipt")
    class BitcoinAttempt(_message.Message):
        __slots__ = ("unsigned_transaction", "signatures")
        UNSIGNED_TRANSACTION_FIELD_NUMBER: _ClassVar[int]
        SIGNATURES_FIELD_NUMBER: _ClassVar[int]
        unsigned_transaction: bytes
        signatures: _containers.RepeatedScalarFieldContainer[bytes]
        def __init__(self, unsigned_transaction: _Optional[bytes] = ..., signatures: _Optional[_Iterable[bytes]] = ...) -> None: ...
    class EthereumAttempt(_message.Message):
        __slots__ = ("raw_transaction",)
        RAW_TRANSACTION_FIELD_NUMBER: _ClassVar[int]
        raw_transaction: bytes
        def __init__(self, raw_transaction: _Optional[bytes] = ...) -> None: ...
    BITCOIN_FIELD_NUMBER: _ClassVar[int]
    ETHEREUM_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    bitcoin: SignResponse.BitcoinAttempt
    ethereum: SignResponse.EthereumAttempt
    receipt: bytes
    def __init__(self, bitcoin: _Optional[_Union[SignResponse.BitcoinAttempt, _Mapping]] = ..., ethereum: _Optional[_Union[SignResponse.EthereumAttempt, _Mapping]] = ..., receipt: _Optional[bytes] = ...) -> None: ...

class GetReceiptRequest(_message.Message):
    __slots__ = ("intent_digest", "act")
    INTENT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ACT_FIELD_NUMBER: _ClassVar[int]
    intent_digest: str
    act: Act
    def __init__(self, intent_digest: _Optional[str] = ..., act: _Optional[_Union[Act, str]] = ...) -> None: ...

class GetReceiptResponse(_message.Message):
    __slots__ = ("receipt",)
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    receipt: bytes
    def __init__(self, receipt: _Optional[bytes] = ...) -> None: ...

class GetJournalHeadRequest(_message.Message):
    __slots__ = ("signer_id", "nonce")
    SIGNER_ID_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    signer_id: str
    nonce: bytes
    def __init__(self, signer_id: _Optional[str] = ..., nonce: _Optional[bytes] = ...) -> None: ...

class GetJournalHeadResponse(_message.Message):
    __slots__ = ("envelope",)
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    envelope: bytes
    def __init__(self, envelope: _Optional[bytes] = ...) -> None: ...
