"""Proofs of ownership: BIP-322 messages, for an account's own script and for a destination's.

A signer builds the account's message itself from the account statement, so nobody can have it sign a text
of their choosing. The signature covers a virtual transaction (version 0, spending an output that never
existed), so it can never serve as a payment.

Source: BIP-322. Framing: bip322-core, over embit; the hash is computed again by python-bitcoinlib;
verification: bip322-core with btclib's interpreter and libbitcoinkernel.
"""

from dataclasses import dataclass
from typing import Final

from bip322core import (
    PREFIX_FULL,
    PREFIX_SIMPLE,
    BIP322Error,
    VerifyResult,
    build_to_sign,
    build_to_spend,
    verify_message,
)

from signers.bitcoin import decode
from signers.bitcoin.coins import Outpoint, SpentOutput, account_script, script_keys
from signers.bitcoin.construct import sighashes
from signers.bitcoin.sign import (
    ImplementationsDisagree,
    PartialSignatures,
    SignDigest,
    require_signatures,
)
from signers.statements import multisig
from signers.statements.account import Account
from signers.statements.allowlist import AllowlistEntry, BitcoinDestination, ownership_message
from signers.statements.amounts import Sats
from signers.statements.identifiers import CompressedKey, TxId
from signers.statements.refusals import Refusal, Tag, refuse_unless

_PROOF_CHARACTERS_MAX: Final = 4096
_PROOF_INPUTS_MAX: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a valid proof shows besides ownership. BIP-322 leaves its acceptance to the verifier."""

    form: str
    """`smp` simple, `ful` full, `pof` full with other coins."""
    lock_time: int
    """The signature holds from this height or time on; 0 always."""
    sequence: int
    """The signature holds from this age of the coins on (BIP-68); 0 always."""
    signatures: int
    """How many signatures were checked. A script can ask for none: then it shows nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnershipChallenge:
    """What two signers sign to show that they can spend from the account together."""

    message: str
    script: bytes
    witness_script: bytes
    keys: tuple[CompressedKey, ...]
    """In the order of the script."""
    sighash: bytes
    """32 bytes: BIP-143, SIGHASH_ALL, of the virtual transaction."""


def ownership_challenge(account: Account) -> OwnershipChallenge:
    """The challenge that the account statement alone determines.

    Raises:
        ImplementationsDisagree: embit and python-bitcoinlib computed different hashes.
    """
    message, script = account.bitcoin_ownership_message, account_script(account)
    witness_script = multisig.witness_script(account.bitcoin.keys)
    to_spend = build_to_spend(message.encode(), script)
    to_sign = build_to_sign(to_spend.txid())
    spent = SpentOutput(
        outpoint=Outpoint(txid=TxId(to_spend.txid().hex()), index=0), value=Sats.zero(), script=script
    )
    (digest,) = sighashes(to_sign, witness_script, [spent])
    decoded = decode.read_transaction(to_sign.serialize(), tag=Tag.TRANSACTION_SHAPE)
    if digest != decode.sighash(decoded, 0, witness_script=witness_script, value=Sats.zero()):
        raise ImplementationsDisagree("on the hash of an ownership proof")
    return OwnershipChallenge(
        message=message,
        script=script,
        witness_script=witness_script,
        keys=script_keys(account),
        sighash=digest,
    )


async def sign_ownership(account: Account, *, key: CompressedKey, sign: SignDigest) -> PartialSignatures:
    """This signer's half of a proof.

    Raises:
        ImplementationsDisagree: as `ownership_challenge`.
        Refusal: `account-keys` or `signature-invalid`.
    """
    challenge = ownership_challenge(account)
    _require_cosigner(key, challenge)
    partial = PartialSignatures(public_key=key, signatures=(await sign(challenge.sighash),))
    require_signatures(partial, (challenge.sighash,))
    return partial


def verify_destination_proof(entry: AllowlistEntry) -> None:
    """Refuse an allowlisted script whose owner has not signed for exactly this account and destination id.

    Accepted: the simple form (P2WPKH, P2WSH, P2TR; also without its prefix) and the full form (those, P2PKH,
    P2SH). Not accepted: BIP-137, a proof that holds only later or shows other coins, and one of a script that
    asks for no signature.

    Raises:
        Refusal: `allowlist-proof`.
    """
    if not isinstance(entry.destination, BitcoinDestination):
        raise Refusal(Tag.ALLOWLIST_PROOF, f"{entry.destination.kind} is not a script")
    message = ownership_message(
        network=entry.network,
        account=entry.account,
        destination_id=entry.destination_id,
        destination=entry.destination,
    )
    script = entry.destination.script_pubkey.raw
    shown = verify_proof(script, message, entry.proof, tag=Tag.ALLOWLIST_PROOF)
    refuse_unless(
        shown.form in {PREFIX_SIMPLE, PREFIX_FULL} and (shown.lock_time, shown.sequence) == (0, 0),
        Tag.ALLOWLIST_PROOF,
        f"{entry.destination_id}: a proof that holds only later, or of other coins too",
    )
    refuse_unless(
        shown.signatures > 0,
        Tag.ALLOWLIST_PROOF,
        f"{entry.destination_id}: a script that asks for no signature",
    )


def verify_proof(script: bytes, message: str, proof: str, *, tag: Tag) -> Shown:
    """Check a BIP-322 proof that whoever can spend from `script` signed `message`.

    "Inconclusive" (a script that a later soft fork may give a meaning) is a refusal too.

    Raises:
        Refusal: `tag`.
    """
    try:
        result: VerifyResult = verify_message(
            script.hex(),
            proof,
            message.encode(),
            engines=("btclib", "kernel"),
            allow_legacy=False,
            max_signature_bytes=_PROOF_CHARACTERS_MAX,
            max_inputs=_PROOF_INPUTS_MAX,
        )
    except (BIP322Error, ValueError, TypeError, RuntimeError, ArithmeticError, LookupError) as error:
        raise Refusal(tag, f"{type(error).__name__}: {error}") from error
    refuse_unless(result.ok is True, tag, str(result.reason))
    return Shown(
        form=str(result.variant),
        lock_time=int(result.locktime),
        sequence=int(result.sequence),
        signatures=len(result.sighash_types),
    )


def _require_cosigner(key: CompressedKey, challenge: OwnershipChallenge) -> None:
    refuse_unless(key in challenge.keys, Tag.ACCOUNT_KEYS, f"{key} is not a key of this account")
