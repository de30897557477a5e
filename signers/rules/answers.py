"""What a signer tells again: receipts it gave, and what it has seen of the others' journals."""

from __future__ import annotations

from signers.rules.decision import announce_receipt, refusal_receipt, signature_receipt
from signers.rules.reconciliation import own_view_of
from signers.rules.signer import Signer
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Digest, Nonce, SignerId
from signers.statements.receipt import Act, JournalHead


async def receipt(signer: Signer, intent_digest: Digest, act: Act) -> Envelope | None:
    """The receipt of an act; of signatures and refusals the latest. `None` where there was none."""
    views = signer.journal.views
    history = views.intents.get(intent_digest)
    if act is Act.REFUSED:
        refusal = views.last_refusal.get(intent_digest)
        return None if refusal is None else await signer.sealed(refusal_receipt(signer, refusal))
    if history is None:
        return None
    if act is Act.ANNOUNCED:
        return await signer.sealed(announce_receipt(signer, history))
    signed = history.last_signed
    return None if signed is None else await signer.sealed(signature_receipt(signer, history, signed))


async def journal_head(signer: Signer, subject: SignerId, nonce: Nonce) -> Envelope:
    """The highest head of a peer's journal that this signer has seen, or its own; bound to the peer's nonce.

    Answered at any time, also before this signer's own journal is confirmed: signers that all started at once
    would otherwise wait for each other for ever.
    """
    own = subject == signer.id
    seen = signer.journal.decided if own else own_view_of(signer.journal, subject)
    return await signer.sealed(
        JournalHead(
            network=signer.network,
            subject=subject,
            witness=signer.id,
            nonce=nonce,
            sequence=seen.sequence,
            head=seen.head,
        )
    )
