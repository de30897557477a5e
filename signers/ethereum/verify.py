"""Judge a payout by its bytes alone: what does this transaction do, and is that what the intent says?

eth-account decodes, hashes and re-encodes; the signature is recovered by eth-keys' own arithmetic, not by the
library that made it. Exactly one payload is accepted for given intent and fee, and it is sealed in a
`VerifiedPayout`, the only thing that `sign` signs.
"""

from dataclasses import dataclass
from typing import Any, Final

import rlp
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from eth_keys.backends.native.main import NativeECCBackend
from eth_keys.exceptions import BadSignature
from eth_keys.main import KeyAPI
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError
from hexbytes import HexBytes
from rlp.exceptions import RLPException

from signers.ethereum import terms
from signers.statements.account import Account
from signers.statements.amounts import Wei
from signers.statements.identifiers import EthereumAddress
from signers.statements.intent import Intent, NonceAnchor
from signers.statements.refusals import Refusal, Tag, refuse_unless
from signers.statements.secp256k1 import HALF_ORDER

TRANSACTION_BYTES_MAX: Final = 512
"""A payout has some 120; nothing longer is even decoded."""

_UNSIGNED_FIELDS: Final = 9
_KEYS: Final = KeyAPI(NativeECCBackend())


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedPayout:
    """A payload that this module has accepted; it alone makes them."""

    payload: bytes
    digest: bytes
    """What a signature covers, by this side's own computation: 32 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fields:
    chain_id: int
    nonce: int
    max_priority_fee_per_gas: int
    max_fee_per_gas: int
    gas: int
    to: bytes
    value: int
    data: bytes
    access_list: bool
    """Whether anything is in it."""


def verify_payout(payload: bytes, *, intent: Intent, account: Account, fee: Wei) -> VerifiedPayout:
    """Accept the unsigned payout of `intent` at `fee`, and no other payload.

    Raises:
        Refusal: `chain-id`, `nonce`, `destination`, `amount`, `fee-cap`, `transaction-shape`, or as
            `terms.require_terms`.
    """
    terms.require_terms(intent, account, fee)
    _require_fields(_read_unsigned(payload), intent, fee)
    digest = _digest_by_eth_account(intent, fee)
    refuse_unless(
        digest == _hash_of(payload),
        Tag.TRANSACTION_SHAPE,
        "eth-account builds another payload",
    )
    return VerifiedPayout(payload=payload, digest=digest)


def verify_signed(transaction: bytes, *, intent: Intent, account: Account, fee: Wei) -> None:
    """Accept the complete payout of `intent` at `fee`, signed by the account's key, and no other transaction.

    Raises:
        Refusal: as `verify_payout`, or `signature-invalid`.
    """
    terms.require_terms(intent, account, fee)
    typed = _decode_signed(transaction)
    _require_fields(_signed_fields(typed.as_dict()), intent, fee)
    sender = _sender(typed)
    refuse_unless(
        sender == account.ethereum.address, Tag.SIGNATURE_INVALID, f"signed by {sender}, not by the account"
    )


def _require_fields(fields: _Fields, intent: Intent, fee: Wei) -> None:
    """Every field is what the intent and the fee make it."""
    anchor = intent.anchor
    refuse_unless(fields.chain_id == intent.network.chain_id, Tag.CHAIN_ID, f"chain {fields.chain_id}")
    refuse_unless(anchor.kind == "nonce" and fields.nonce == anchor.nonce, Tag.NONCE, f"nonce {fields.nonce}")
    refuse_unless(
        fields.to == terms.destination_address(intent).raw,
        Tag.DESTINATION,
        f"pays {fields.to.hex() or 'none'}",
    )
    refuse_unless(
        fields.value == intent.amount.units, Tag.AMOUNT, f"{fields.value} wei where {intent.amount} is due"
    )
    _require_plain_transfer(fields)
    most = terms.GAS * fields.max_fee_per_gas
    refuse_unless(most <= intent.fee_cap.units, Tag.FEE_CAP, f"up to {most} wei above {intent.fee_cap}")
    refuse_unless(
        fields.max_fee_per_gas == terms.max_fee_per_gas(fee),
        Tag.AMOUNT,
        f"up to {most} wei of fee where {fee} was stated",
    )
    refuse_unless(
        fields.max_priority_fee_per_gas == terms.max_priority_fee_per_gas(fee), Tag.TRANSACTION_SHAPE, "tip"
    )


def _require_plain_transfer(fields: _Fields) -> None:
    """Data or an access list would make it a call; another gas limit, another cost."""
    faults = {
        "gas": fields.gas != terms.GAS,
        "data": bool(fields.data),
        "access list": fields.access_list,
    }
    found = [name for name, present in faults.items() if present]
    refuse_unless(not found, Tag.TRANSACTION_SHAPE, ", ".join(found))


def _read_unsigned(payload: bytes) -> _Fields:
    """The nine fields of an unsigned type 2 transaction."""
    _require_type(payload)
    try:
        items = rlp.decode(payload[1:], strict=True)
    except RLPException as error:
        raise Refusal(Tag.TRANSACTION_SHAPE, f"not RLP: {error}") from error
    if not isinstance(items, list) or len(items) != _UNSIGNED_FIELDS:
        raise Refusal(Tag.TRANSACTION_SHAPE, "not the nine fields of an unsigned transaction")
    *leading, access_list = items
    if not all(isinstance(item, bytes) for item in leading) or not isinstance(access_list, list):
        raise Refusal(Tag.TRANSACTION_SHAPE, "a field of another type")
    chain_id, nonce, tip, most, gas, to, value, data = leading
    refuse_unless(
        not any(item[:1] == b"\x00" for item in (chain_id, nonce, tip, most, gas, value)),
        Tag.TRANSACTION_SHAPE,
        "a number with leading zeros",
    )
    return _Fields(
        chain_id=_integer(chain_id),
        nonce=_integer(nonce),
        max_priority_fee_per_gas=_integer(tip),
        max_fee_per_gas=_integer(most),
        gas=_integer(gas),
        to=to,
        value=_integer(value),
        data=data,
        access_list=bool(access_list),
    )


def _integer(item: bytes) -> int:
    return int.from_bytes(item, "big")


def _require_type(data: bytes) -> None:
    refuse_unless(
        data[:1] == bytes([terms.TYPE]) and len(data) <= TRANSACTION_BYTES_MAX,
        Tag.TRANSACTION_SHAPE,
        "not a transaction of type 2 of a bounded length",
    )


def _decode_signed(transaction: bytes) -> TypedTransaction:
    """Read a transaction that is its own encoding, so that no two byte strings are taken for one."""
    _require_type(transaction)
    try:
        typed = TypedTransaction.from_bytes(HexBytes(transaction))
        again = typed.encode()
    except (RLPException, ValueError, TypeError, LookupError) as error:
        raise Refusal(Tag.TRANSACTION_SHAPE, f"not a transaction: {type(error).__name__}") from error
    refuse_unless(again == transaction, Tag.TRANSACTION_SHAPE, "a transaction is not its own encoding")
    return typed


def _signed_fields(fields: dict[str, Any]) -> _Fields:
    return _Fields(
        chain_id=fields["chainId"],
        nonce=fields["nonce"],
        max_priority_fee_per_gas=fields["maxPriorityFeePerGas"],
        max_fee_per_gas=fields["maxFeePerGas"],
        gas=fields["gas"],
        to=bytes(HexBytes(fields["to"])),
        value=fields["value"],
        data=bytes(HexBytes(fields["data"])),
        access_list=bool(fields["accessList"]),
    )


def _sender(typed: TypedTransaction) -> EthereumAddress:
    """Who signed, by pure Python arithmetic.

    Raises:
        Refusal: `signature-invalid`.
    """
    y_parity, r, s = typed.vrs()
    refuse_unless(s <= HALF_ORDER, Tag.SIGNATURE_INVALID, "s is in the upper half (EIP-2)")
    try:
        signature = _KEYS.Signature(vrs=(y_parity, r, s))
        key = _KEYS.ecdsa_recover(typed.hash(), signature)
    except (BadSignature, ValidationError, ValueError) as error:
        raise Refusal(Tag.SIGNATURE_INVALID, f"no key has made this signature: {error}") from error
    return EthereumAddress(key.to_canonical_address().hex())


def _digest_by_eth_account(intent: Intent, fee: Wei) -> bytes:
    """The hash to sign, by another implementation, from the intent rather than from what was built."""
    anchor = intent.anchor
    if not isinstance(anchor, NonceAnchor):
        raise Refusal(Tag.NONCE, f"an intent of {intent.asset} uses no nonce")
    return TypedTransaction.from_dict(
        {
            "type": terms.TYPE,
            "chainId": intent.network.chain_id,
            "nonce": anchor.nonce,
            "maxPriorityFeePerGas": terms.max_priority_fee_per_gas(fee),
            "maxFeePerGas": terms.max_fee_per_gas(fee),
            "gas": terms.GAS,
            "to": terms.destination_address(intent).raw,
            "value": intent.amount.units,
            "data": b"",
            "accessList": [],
        }
    ).hash()


def _hash_of(data: bytes) -> bytes:
    """Keccak-256, by whatever backend eth-utils picks."""
    return bytes(keccak(data))
