"""Sign a verified payout and put the signature into the transaction."""

from collections.abc import Awaitable, Callable

import rlp
from coincurve import PublicKey

from signers.ethereum import terms
from signers.ethereum.construct import UnsignedPayout
from signers.ethereum.verify import VerifiedPayout, verify_signed
from signers.statements.account import Account
from signers.statements.amounts import Wei
from signers.statements.identifiers import CompressedKey
from signers.statements.intent import Intent
from signers.statements.refusals import Refusal, Tag, refuse_unless
from signers.statements.secp256k1 import HALF_ORDER

SignDigest = Callable[[bytes], Awaitable[bytes]]
"""Signs 32 bytes with the account key: r ‖ s ‖ y parity, 65 bytes, low S."""


class ImplementationsDisagree(Exception):  # noqa: N818 - it says what is the case
    """Two libraries computed different hashes of one payout: one of them is broken, and nothing is signed."""


async def sign_payout(
    *,
    payout: UnsignedPayout,
    verified: VerifiedPayout,
    intent: Intent,
    account: Account,
    fee: Wei,
    sign: SignDigest,
) -> bytes:
    """The complete transaction as it is broadcast, verified.

    Args:
        payout: as built here.
        verified: the same, as judged by the other implementation.
        intent: what it pays.
        account: whose key signs.
        fee: as stated for this attempt.
        sign: signs one 32-byte hash with the account's key.

    Raises:
        ImplementationsDisagree: builder and judge hold different payloads or hashes.
        Refusal: `signature-invalid` (what `sign` returned), or as `verify_signed`.
    """
    if (payout.payload, payout.digest) != (verified.payload, verified.digest):
        raise ImplementationsDisagree(f"on the hash of nonce {payout.nonce}")
    signature = await sign(verified.digest)
    require_signature(account.ethereum.public_key, signature, verified.digest)
    transaction = assemble(payout, signature)
    verify_signed(transaction, intent=intent, account=account, fee=fee)
    return transaction


def assemble(payout: UnsignedPayout, signature: bytes) -> bytes:
    """The transaction as it is broadcast: the type, then RLP of the fields, y parity, r and s."""
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    return bytes([terms.TYPE]) + bytes(rlp.encode([*payout.fields, signature[64], r, s]))


def require_signature(key: CompressedKey, signature: bytes, digest: bytes) -> None:
    """Refuse unless the signature is `key`'s over `digest`, low S, with its y parity, by libsecp256k1.

    Raises:
        Refusal: `signature-invalid`.
    """
    refuse_unless(
        len(signature) == 65 and signature[64] <= 1, Tag.SIGNATURE_INVALID, "not r, s and a parity of 0 or 1"
    )
    refuse_unless(
        int.from_bytes(signature[32:64], "big") <= HALF_ORDER,
        Tag.SIGNATURE_INVALID,
        "s is in the upper half (EIP-2)",
    )
    try:
        recovered = PublicKey.from_signature_and_message(signature, digest, hasher=None)
    except ValueError as error:
        raise Refusal(Tag.SIGNATURE_INVALID, "no key has made this signature") from error
    refuse_unless(
        recovered.format(compressed=True) == key.raw, Tag.SIGNATURE_INVALID, f"not a signature of {key}"
    )
