"""Sign the inputs of a verified payout, check signatures, and join two signers' into a transaction.

Only a `VerifiedPayout` is signed, and only where both implementations computed the same hash. Own and peers'
signatures are checked by libsecp256k1 (coincurve) and by OpenSSL (cryptography) before they are used; the
joined transaction by libbitcoinkernel.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from coincurve import PublicKey
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)
from embit.script import Witness
from embit.transaction import Transaction

from signers.bitcoin.coins import SIGHASH_ALL
from signers.bitcoin.consensus import require_spendable
from signers.bitcoin.construct import UnsignedPayout
from signers.bitcoin.decode import read_transaction, txid_of
from signers.bitcoin.verify import VerifiedPayout
from signers.statements import multisig
from signers.statements.identifiers import CompressedKey, EcdsaSignature
from signers.statements.refusals import Refusal, Tag, refuse_unless
from signers.statements.secp256k1 import HALF_ORDER

SignDigest = Callable[[bytes], Awaitable[EcdsaSignature]]
"""Signs 32 bytes with the account key: compact r ‖ s, low S."""


class ImplementationsDisagree(Exception):  # noqa: N818 - it says what is the case
    """Two libraries computed different hashes of one payout: one of them is broken, and nothing is signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialSignatures:
    """One key's signatures of all inputs."""

    public_key: CompressedKey
    signatures: tuple[EcdsaSignature, ...]
    """In the order of the inputs."""


async def sign_payout(
    *, payout: UnsignedPayout, verified: VerifiedPayout, key: CompressedKey, sign: SignDigest
) -> PartialSignatures:
    """This signer's signature of every input.

    Args:
        payout: as built here.
        verified: the same, as judged by the other implementation.
        key: this signer's key of the account.
        sign: signs one 32-byte hash with that key.

    Raises:
        ImplementationsDisagree: builder and judge hold different transactions or hashes.
        Refusal: `account-keys` (not a key of this account) or `signature-invalid` (what `sign` returned).
    """
    if (payout.transaction, payout.sighashes) != (verified.transaction, verified.sighashes):
        raise ImplementationsDisagree(f"on the hashes of {payout.txid}")
    _require_cosigner(key, verified)
    signatures = tuple([await sign(digest) for digest in verified.sighashes])
    partial = PartialSignatures(public_key=key, signatures=signatures)
    require_signatures(partial, verified.sighashes)
    return partial


def verify_partial(partial: PartialSignatures, verified: VerifiedPayout) -> None:
    """Refuse a key that is not of the account, or any signature that is not its own over its input.

    Raises:
        Refusal: `account-keys` or `signature-invalid`.
    """
    _require_cosigner(partial.public_key, verified)
    require_signatures(partial, verified.sighashes)


def require_signatures(partial: PartialSignatures, digests: tuple[bytes, ...]) -> None:
    """Refuse unless there is one valid low-S signature of each digest, by two implementations.

    High S verifies too, but a transaction with it is not relayed (BIP-146) and could be altered by anyone.

    Raises:
        Refusal: `signature-invalid`.
    """
    refuse_unless(
        len(partial.signatures) == len(digests),
        Tag.SIGNATURE_INVALID,
        f"{len(partial.signatures)} signatures for {len(digests)} inputs",
    )
    for index, (signature, digest) in enumerate(zip(partial.signatures, digests, strict=True)):
        refuse_unless(
            _verifies(partial.public_key, signature, digest),
            Tag.SIGNATURE_INVALID,
            f"input {index}: not a low-S signature of {partial.public_key}",
        )


def combine(verified: VerifiedPayout, first: PartialSignatures, second: PartialSignatures) -> bytes:
    """The transaction that two signers have signed, verified by Bitcoin Core's own rules.

    Returns:
        The serialised transaction with its witnesses, ready to be broadcast.

    Raises:
        Refusal: `account-keys` (one key twice, or of another account) or `signature-invalid`.
    """
    refuse_unless(
        first.public_key != second.public_key, Tag.ACCOUNT_KEYS, "two signatures of one key are one"
    )
    for partial in (first, second):
        verify_partial(partial, verified)
    by_key = sorted((first, second), key=lambda partial: verified.keys.index(partial.public_key))
    transaction = Transaction.parse(verified.transaction)
    for index, txin in enumerate(transaction.vin):
        signatures = [witness_signature(partial.signatures[index]) for partial in by_key]
        txin.witness = Witness(multisig_witness(signatures, verified.witness_script))
    signed = bytes(transaction.serialize())
    verify_signed(signed, verified)
    return signed


def verify_signed(transaction: bytes, verified: VerifiedPayout) -> None:
    """Accept a complete transaction: the verified payout, plus witnesses that spend.

    Raises:
        Refusal: `transaction-shape` (another transaction, or a witness of another form) or
            `signature-invalid`.
    """
    decoded = read_transaction(transaction, tag=Tag.TRANSACTION_SHAPE)
    refuse_unless(txid_of(decoded) == verified.txid, Tag.TRANSACTION_SHAPE, "another transaction")
    for txin in decoded.wit.vtxinwit:
        _require_witness(list(txin.scriptWitness.stack), verified.witness_script)
    require_spendable(transaction, verified.spent)


def witness_signature(signature: EcdsaSignature) -> bytes:
    """A signature as a witness carries it: strict DER (BIP-66) and the hash type."""
    return _der(signature) + bytes([SIGHASH_ALL])


def read_witness_signature(data: bytes) -> EcdsaSignature:
    """A signature out of the form that witnesses and peers use.

    Raises:
        Refusal: `signature-invalid` for another hash type, or anything but strict DER in its one spelling.
    """
    try:
        r, s = decode_dss_signature(data[:-1])
        signature = EcdsaSignature(f"{r:064x}{s:064x}")
    except ValueError as error:
        raise Refusal(Tag.SIGNATURE_INVALID, f"not DER of two numbers: {error}") from error
    refuse_unless(
        witness_signature(signature) == data, Tag.SIGNATURE_INVALID, "not strict DER with SIGHASH_ALL"
    )
    return signature


def multisig_witness(signatures: list[bytes], witness_script: bytes) -> list[bytes]:
    """The stack that satisfies the account's script: dummy (BIP-147), signatures in key order, script."""
    return [b"", *signatures, witness_script]


def _require_cosigner(key: CompressedKey, verified: VerifiedPayout) -> None:
    refuse_unless(key in verified.keys, Tag.ACCOUNT_KEYS, f"{key} is not a key of this account")


def _require_witness(stack: list[bytes], witness_script: bytes) -> None:
    refuse_unless(
        len(stack) == 2 + multisig.THRESHOLD
        and (stack[0], stack[-1]) == (b"", witness_script)
        and all(item[-1:] == bytes([SIGHASH_ALL]) for item in stack[1:-1]),
        Tag.TRANSACTION_SHAPE,
        "a witness is not two SIGHASH_ALL signatures and the account's script",
    )


def _verifies(key: CompressedKey, signature: EcdsaSignature, digest: bytes) -> bool:
    _, s = _numbers(signature)
    return (
        s <= HALF_ORDER
        and _secp256k1_verifies(key, signature, digest)
        and _openssl_verifies(key, signature, digest)
    )


def _secp256k1_verifies(key: CompressedKey, signature: EcdsaSignature, digest: bytes) -> bool:
    try:
        return PublicKey(key.raw).verify(_der(signature), digest, hasher=None)
    except ValueError:
        return False


def _openssl_verifies(key: CompressedKey, signature: EcdsaSignature, digest: bytes) -> bool:
    try:
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), key.raw)
        public.verify(_der(signature), digest, ec.ECDSA(Prehashed(hashes.SHA256())))
    except (InvalidSignature, ValueError):
        return False
    return True


def _numbers(signature: EcdsaSignature) -> tuple[int, int]:
    raw = signature.raw
    return int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")


def _der(signature: EcdsaSignature) -> bytes:
    return encode_dss_signature(*_numbers(signature))
