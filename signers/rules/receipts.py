"""The receipts of the other signers: that everyone knows of an intent before anyone signs it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from signers.journal import IntentHistory, PeerHead, PeerReceiptSeen, document
from signers.peers.port import PeerUnavailable
from signers.rules.reconciliation import require_one_history
from signers.rules.signer import Signer
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Digest, SignerId
from signers.statements.receipt import Act, Receipt
from signers.statements.refusals import Refusal, Tag, refuse_unless


async def require_announced_everywhere(
    signer: Signer, history: IntentHistory, relayed: Iterable[Envelope]
) -> None:
    """Every signer of the policy has announced exactly this intent.

    Custody relays the receipts; what it leaves out is asked of the peers themselves. With every signer bound
    to the intent, no two of them can be brought to sign another one beside it.

    Raises:
        Refusal: `announce-incomplete`, `journal-conflict` (a peer whose journal has two histories), or
            `journal-behind` (a receipt of our own that our journal does not know).
    """
    for envelope in relayed:
        take(signer, history, envelope)
    asked = [_fetch_if_there(signer, history, peer) for peer in missing(signer, history)]
    for failure in await asyncio.gather(*asked, return_exceptions=True):
        if failure is not None:
            raise failure
    absent = missing(signer, history)
    refuse_unless(not absent, Tag.ANNOUNCE_INCOMPLETE, f"no announce receipt of {', '.join(absent)}")


def missing(signer: Signer, history: IntentHistory) -> tuple[SignerId, ...]:
    """The peers of which no announce receipt was seen."""
    seen = signer.journal.views.peer_receipts
    return tuple(peer for peer in signer.peer_ids if (peer, history.digest) not in seen)


async def fetch(signer: Signer, history: IntentHistory, peer: SignerId) -> None:
    """Ask a peer for its receipt; one that has none leaves things as they are.

    Raises:
        PeerUnavailable: it does not answer.
        Refusal: as `take`.
    """
    envelope = await signer.peers.announce_receipt(peer, history.digest)
    if envelope is not None:
        take(signer, history, envelope)


async def _fetch_if_there(signer: Signer, history: IntentHistory, peer: SignerId) -> None:
    with suppress(PeerUnavailable):
        await fetch(signer, history, peer)


def take(signer: Signer, history: IntentHistory, envelope: Envelope) -> None:
    """Check one announce receipt, and write down the head of the peer's journal that it shows.

    Raises:
        Refusal: `announce-incomplete` (no valid announce receipt of this intent), `journal-conflict` or
            `journal-behind`.
    """
    receipt = _read(signer, envelope)
    about = (receipt.act, receipt.intent_digest, receipt.account)
    refuse_unless(
        about == (Act.ANNOUNCED, history.digest, history.intent.account),
        Tag.ANNOUNCE_INCOMPLETE,
        f"a receipt of {receipt.signer} about something else",
    )
    if receipt.signer == signer.id:
        _require_own(signer, receipt)
    elif (receipt.signer, history.digest) not in signer.journal.views.peer_receipts:
        _write_down(signer, receipt, envelope)


def _read(signer: Signer, envelope: Envelope) -> Receipt:
    receipt = Receipt.read(envelope, network=signer.network)
    try:
        terms = signer.policy.signer(receipt.signer)
    except LookupError as error:
        raise Refusal(Tag.ANNOUNCE_INCOMPLETE, str(error)) from error
    refuse_unless(
        envelope.signed_by(terms.public_key),
        Tag.ANNOUNCE_INCOMPLETE,
        f"a receipt that {receipt.signer} has not signed",
    )
    return receipt


def _require_own(signer: Signer, receipt: Receipt) -> None:
    """A receipt that we signed and cannot find means that someone put an older journal in place."""
    if signer.journal.head_at(receipt.journal_sequence) == receipt.journal_head:
        return
    signer.reconciliation.fall_behind(
        f"an own receipt names record {receipt.journal_sequence}, which is not here"
    )
    signer.reconciliation.require()


def require_not_forgotten(signer: Signer, relayed: Iterable[Envelope], intent_digest: Digest) -> None:
    """Where an intent is unknown here, no receipt of our own may say otherwise.

    Raises:
        Refusal: `journal-behind`, or as `take` for a receipt that is none.
    """
    for envelope in relayed:
        receipt = _read(signer, envelope)
        if receipt.signer == signer.id and receipt.intent_digest == intent_digest:
            _require_own(signer, receipt)


def _write_down(signer: Signer, receipt: Receipt, envelope: Envelope) -> None:
    head = PeerHead(sequence=receipt.journal_sequence, head=receipt.journal_head)
    require_one_history(signer.journal, receipt.signer, head)
    seen = PeerReceiptSeen(
        signer=receipt.signer,
        intent_digest=receipt.intent_digest,
        sequence=receipt.journal_sequence,
        head=receipt.journal_head,
        receipt=document(envelope),
    )
    signer.journal.append(seen, at=signer.wall_clock())
