"""Whether every pair of signers can spend from an account's addresses, before anyone pays in.

Each signer signs one message over the account statement's digest. Custody joins the parts: three BIP-322
proofs, one of each pair, must verify for the account's script, and the holder's EIP-191 signature for its
address.

Sources: BIP-322 (by bip322-core with btclib's interpreter and libbitcoinkernel), EIP-191 (by eth-account).
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Final

from bip322core import (
    PREFIX_SIMPLE,
    BIP322Error,
    encode_simple,
    verify_message,
)
from eth_account import Account as EthereumAccount
from eth_account.messages import encode_defunct
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

from custody.application.ports.verification import OwnershipUnproven
from custody.domain.account import OwnershipProof
from signers.statements import multisig
from signers.statements.account import Account
from signers.statements.identifiers import SignerId

_ENGINES: Final = ("btclib", "kernel")
_PROOF_CHARACTERS_MAX: Final = 4096


def verify_ownership(account: Account, proofs: Sequence[OwnershipProof]) -> None:
    """Check the proofs of all three pairs and of the Ethereum holder.

    Raises:
        OwnershipUnproven: a part is missing or another's, or a proof does not verify.
    """
    parts = {proof.signer: proof for proof in proofs}
    cosigners = {cosigner.signer for cosigner in account.bitcoin.cosigners}
    if set(parts) != cosigners or len(proofs) != len(parts):
        raise OwnershipUnproven(f"parts of {sorted(parts)}, not one of each of {sorted(cosigners)}")
    for first, second in combinations(sorted(cosigners, key=account.bitcoin.key_of), 2):
        _verify_pair(account, parts[first], parts[second])
    _verify_holder(account, parts)


def _verify_pair(account: Account, first: OwnershipProof, second: OwnershipProof) -> None:
    """One pair, its signatures in the order of the keys."""
    script = multisig.witness_script(account.bitcoin.keys)
    proof = encode_simple([b"", first.bitcoin, second.bitcoin, script])
    try:
        result = verify_message(
            account.bitcoin.script_pubkey,
            proof,
            account.bitcoin_ownership_message.encode(),
            engines=_ENGINES,
            allow_legacy=False,
            allow_unprefixed=False,
            max_signature_bytes=_PROOF_CHARACTERS_MAX,
            max_inputs=1,
        )
    except (BIP322Error, ValueError, RuntimeError) as error:
        raise OwnershipUnproven(f"{first.signer} and {second.signer}: {error}") from error
    if not result.ok or result.variant != PREFIX_SIMPLE or result.extra_inputs:
        raise OwnershipUnproven(f"{first.signer} and {second.signer}: {result.reason}")


def _verify_holder(account: Account, parts: dict[SignerId, OwnershipProof]) -> None:
    holder = account.ethereum.holder
    others = [signer for signer, part in parts.items() if part.ethereum is not None and signer != holder]
    if holder not in parts or others:
        raise OwnershipUnproven(f"the Ethereum holder is {holder}, and {others} signed for it too")
    signature = parts[holder].ethereum
    if signature is None:
        raise OwnershipUnproven(f"{holder} has not signed for the Ethereum address")
    try:
        recovered = EthereumAccount.recover_message(
            encode_defunct(text=account.ethereum_ownership_message), signature=signature
        )
    except (BadSignature, ValidationError, ValueError, TypeError) as error:
        raise OwnershipUnproven(f"{holder}: {error}") from error
    if recovered.lower() != f"0x{account.ethereum.address}":
        raise OwnershipUnproven(f"{holder} signed as another address")
