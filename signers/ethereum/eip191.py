"""Proofs of ownership: signed messages by EIP-191 version 0x45 ("personal_sign").

A signer builds the account's message itself from the account statement. The prefix 0x19 starts no
transaction, so a message's signature can never serve as one.

The hash is ours, over pysha3; verification is eth-account's.
"""

import re
from typing import Final

from eth_account import Account as EthAccount
from eth_account.messages import encode_defunct
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

from signers.ethereum.keccak import keccak
from signers.ethereum.sign import SignDigest, require_signature
from signers.statements.account import Account
from signers.statements.allowlist import AllowlistEntry, EthereumDestination, ownership_message
from signers.statements.identifiers import EthereumAddress, Proof
from signers.statements.refusals import Refusal, Tag, refuse_unless
from signers.statements.secp256k1 import HALF_ORDER

_RECOVERY_OFFSET: Final = 27
_SIGNATURE: Final = re.compile(r"(?:0x)?([0-9a-f]{128}(?:1b|1c))", re.ASCII)


def message_digest(message: str) -> bytes:
    """What is signed of a message: 32 bytes."""
    data = message.encode()
    return keccak(b"\x19Ethereum Signed Message:\n%d%b" % (len(data), data))


async def sign_ownership(account: Account, *, sign: SignDigest) -> Proof:
    """The holder's proof that it can sign for the account, verified.

    Returns:
        r, s and 27 + y parity: 65 bytes in lower-case hexadecimal, without 0x.

    Raises:
        Refusal: `signature-invalid`.
    """
    digest = message_digest(account.ethereum_ownership_message)
    signature = await sign(digest)
    require_signature(account.ethereum.public_key, signature, digest)
    proof = Proof((signature[:64] + bytes([_RECOVERY_OFFSET + signature[64]])).hex())
    verify_account_proof(account, proof)
    return proof


def verify_account_proof(account: Account, proof: Proof) -> None:
    """Refuse unless the account's address signed the account's message.

    Raises:
        Refusal: `signature-invalid`.
    """
    verify_proof(
        account.ethereum.address, account.ethereum_ownership_message, proof, tag=Tag.SIGNATURE_INVALID
    )


def verify_destination_proof(entry: AllowlistEntry) -> None:
    """Refuse an allowlisted address whose owner has not signed for exactly this account and destination id.

    A contract has no key and signs by EIP-1271, on chain; it is not accepted.

    Raises:
        Refusal: `allowlist-proof`.
    """
    if not isinstance(entry.destination, EthereumDestination):
        raise Refusal(Tag.ALLOWLIST_PROOF, f"{entry.destination.kind} is not an address")
    message = ownership_message(
        network=entry.network,
        account=entry.account,
        destination_id=entry.destination_id,
        destination=entry.destination,
    )
    verify_proof(entry.destination.address, message, entry.proof, tag=Tag.ALLOWLIST_PROOF)


def verify_proof(address: EthereumAddress, message: str, proof: str, *, tag: Tag) -> None:
    """Check that `address` signed `message`.

    Args:
        address: who should have.
        message: the text.
        proof: r, s and 27 or 28 in lower-case hexadecimal, with or without 0x; s in the lower half.
        tag: how to refuse.

    Raises:
        Refusal: `tag`.
    """
    form = _SIGNATURE.fullmatch(proof)
    if form is None:
        raise Refusal(tag, "not 65 bytes of hexadecimal that end in 1b or 1c")
    signature = bytes.fromhex(form[1])
    refuse_unless(
        int.from_bytes(signature[32:64], "big") <= HALF_ORDER, tag, "s is in the upper half (EIP-2)"
    )
    try:
        signer = EthAccount.recover_message(encode_defunct(text=message), signature=signature)
    except (BadSignature, ValidationError, ValueError) as error:
        raise Refusal(tag, f"no key has made this signature: {error}") from error
    refuse_unless(signer.lower() == "0x" + address, tag, f"signed by {signer}")
