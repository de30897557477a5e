"""What resources repeat of the signed statement they carry: worth showing only where it says the same."""

from typing import Final

from bailee.custody.v1 import amount_pb2, destination_pb2, lien_pb2, withdrawal_pb2

from custody.client.amounts import to_amount, to_asset
from custody.client.errors import VerificationError
from custody.client.names import destination_name, lien_name
from signers.statements.allowlist import AllowlistEntry, BitcoinDestination, Destination
from signers.statements.encumbrance import Encumbrance, EncumbranceKind
from signers.statements.intent import Anchor, Intent, OutpointAnchor

_STATES: Final = {
    EncumbranceKind.RESERVE: (lien_pb2.Lien.STATE_RESERVED, lien_pb2.Lien.STATE_EXPIRED),
    EncumbranceKind.POST: (lien_pb2.Lien.STATE_POSTED,),
    EncumbranceKind.VOID: (lien_pb2.Lien.STATE_VOIDED,),
}


def check_withdrawal(resource: withdrawal_pb2.Withdrawal, intent: Intent) -> None:
    """Raise `VerificationError` unless a withdrawal says what its intent says."""
    _require_same(
        {
            "intent digest": (resource.intent_digest, intent.digest),
            "amount": (resource.amount, to_amount(intent.amount)),
            "fee cap": (resource.fee_cap, to_amount(intent.fee_cap)),
            "destination": (resource.destination, destination_name(intent.account, intent.destination_id)),
            "address": (_raw(resource.destination_address), _bytes(intent.destination)),
            "maker": (resource.maker_entity, intent.maker),
            "anchor": (resource.anchor, _anchor(intent.anchor)),
        },
        beside=f"intent {intent.digest}",
    )


def check_destination(resource: destination_pb2.Destination, entry: AllowlistEntry) -> None:
    """Raise `VerificationError` unless a destination says what its allowlist entry says."""
    _require_same(
        {
            "digest": (resource.statement_digest, entry.digest),
            "asset": (resource.asset, to_asset(entry.destination.asset)),
            "address": (_raw(resource.address), _bytes(entry.destination)),
        },
        beside=f"entry {entry.digest}",
    )


def check_lien(resource: lien_pb2.Lien, encumbrance: Encumbrance) -> None:
    """Raise `VerificationError` unless a lien says what its latest encumbrance says."""
    states = _STATES[encumbrance.kind]
    _require_same(
        {
            "name": (resource.name, lien_name(encumbrance.account, encumbrance.lien)),
            "digest": (resource.statement_digest, encumbrance.digest),
            "sequence": (resource.encumbrance_sequence, encumbrance.sequence),
            "amount": (resource.amount, to_amount(encumbrance.amount)),
            "state": (resource.state in states, True),
        },
        beside=f"encumbrance {encumbrance.digest}",
    )


def _require_same(copies: dict[str, tuple[object, object]], *, beside: str) -> None:
    other = [name for name, (shown, signed) in copies.items() if shown != signed]
    if other:
        raise VerificationError(f"another {', '.join(other)} is shown beside {beside}")


def _raw(address: amount_pb2.ChainAddress) -> bytes:
    return address.bitcoin_script_pubkey or address.ethereum_address


def _bytes(destination: Destination) -> bytes:
    if isinstance(destination, BitcoinDestination):
        return destination.script_pubkey.raw
    return destination.address.raw


def _anchor(anchor: Anchor) -> str:
    return f"{anchor.txid}:{anchor.index}" if isinstance(anchor, OutpointAnchor) else str(anchor.nonce)
