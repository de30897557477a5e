"""Read a signed Ethereum transaction back and compare it with the attempt on record.

Beside the signers' own construction: the RLP is decoded here field by field, and the sender recovered from
the signature. Sources: EIP-2718 and EIP-1559 (form), EIP-2 (low S).
"""

from typing import Any, Final

import rlp
from coincurve import PublicKey
from eth_hash.backends.pysha3 import keccak256
from rlp.exceptions import RLPException

from custody.adapters.ethereum_node import transaction_hash
from custody.application.ports.verification import EthereumPayout, SignedTransaction, TransactionInvalid
from signers.statements.allowlist import EthereumDestination
from signers.statements.identifiers import CompressedKey, EthereumAddress
from signers.statements.intent import NonceAnchor
from signers.statements.secp256k1 import HALF_ORDER

TRANSFER_GAS: Final = 21_000
TRANSACTION_BYTES_MAX: Final = 1024
_TYPE: Final = b"\x02"


def address_of(key: CompressedKey) -> EthereumAddress:
    """The last 20 bytes of the Keccak-256 of the uncompressed key.

    Raises:
        ValueError: it is no point of the curve.
    """
    return _address(PublicKey(key.raw))


def _address(key: PublicKey) -> EthereumAddress:
    return EthereumAddress(keccak256(key.format(compressed=False)[1:])[-20:].hex())


def verify(*, payout: EthereumPayout, raw: bytes) -> SignedTransaction:
    """The signed transaction, if it is a plain transfer that pays exactly the intent from the account.

    Args:
        payout: what it must do.
        raw: 0x02, then the RLP list, as nodes take it.

    Raises:
        TransactionInvalid: it does something else, or another key signed it.
    """
    fields = _decode(raw)
    chain_id, nonce, priority, fee_per_gas, gas, to, value, data, accesses, parity, r, s = fields
    intent, destination, anchor = payout.intent, payout.intent.destination, payout.intent.anchor
    if not isinstance(destination, EthereumDestination) or not isinstance(anchor, NonceAnchor):
        raise TransactionInvalid(f"an intent of {destination.asset}")
    said = (_integer(chain_id), _integer(nonce), to, _integer(value), data, accesses)
    meant = (anchor.chain_id, anchor.nonce, destination.address.raw, intent.amount.units, b"", ())
    if said != meant or anchor.chain_id != intent.network.chain_id:
        raise TransactionInvalid("not a plain transfer of the intent's amount to its destination")
    cost = _integer(fee_per_gas) * TRANSFER_GAS
    if _integer(gas) != TRANSFER_GAS or cost > payout.fee.units or _integer(priority) > _integer(fee_per_gas):
        raise TransactionInvalid(f"it may cost {cost} wei, more than the {payout.fee} on record")
    sender = _sender(fields[:9], _integer(parity), _integer(r), _integer(s))
    if sender != payout.account.ethereum.address:
        raise TransactionInvalid(f"signed by {sender}, not by {payout.account.ethereum.address}")
    return SignedTransaction(
        raw=raw, transaction_id=transaction_hash(raw), signers=(payout.account.ethereum.holder,)
    )


def _decode(raw: bytes) -> tuple[Any, ...]:
    """The twelve fields: bytes each, the access list a tuple."""
    if raw[:1] != _TYPE or len(raw) > TRANSACTION_BYTES_MAX:
        raise TransactionInvalid(f"not a transaction of type 2: {len(raw)} bytes")
    try:
        fields = rlp.decode(raw[1:], strict=True)
        if not isinstance(fields, list | tuple) or len(fields) != 12:
            raise TransactionInvalid("not twelve fields")
        if any(field and not isinstance(field, bytes) for field in fields):
            # Before it is encoded again: what is nested deeply enough ends Python's recursion.
            raise TransactionInvalid("not a plain transfer: a list among its fields")
        if rlp.encode(fields) != raw[1:]:
            raise TransactionInvalid("not the canonical form of twelve fields")
    except (RLPException, RecursionError, TypeError, ValueError) as error:
        raise TransactionInvalid(f"malformed: {error}") from error
    return tuple(tuple(field) if isinstance(field, list | tuple) else field for field in fields)


def _integer(raw: object) -> int:
    if not isinstance(raw, bytes) or len(raw) > 32 or raw[:1] == b"\x00":
        raise TransactionInvalid("a number that is none")
    return int.from_bytes(raw, "big")


def _sender(unsigned: tuple[Any, ...], parity: int, r: int, s: int) -> EthereumAddress:
    if parity not in {0, 1} or not 0 < s <= HALF_ORDER:
        raise TransactionInvalid("a signature that nodes would not take")
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([parity])
    digest = keccak256(_TYPE + rlp.encode(unsigned))
    try:
        return _address(PublicKey.from_signature_and_message(signature, digest, hasher=None))
    except ValueError as error:
        raise TransactionInvalid(f"no key signed it: {error}") from error
