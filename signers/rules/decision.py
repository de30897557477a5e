"""How a decision leaves: a receipt of what was done, or a refusal that is written down and signed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from signers.journal import (
    REFUSALS_PER_HOUR_MAX,
    Detail,
    IntentHistory,
    Record,
    Refused,
    Signed,
)
from signers.rules.signer import Signer
from signers.statements.account import EthereumCustody
from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import AccountId, Digest, Seconds
from signers.statements.intent import Intent
from signers.statements.receipt import Act, Receipt
from signers.statements.refusals import Refusal

_HOUR: Final = Seconds(3600)


class Declined(Exception):  # noqa: N818 - the rules decline; it carries the receipt that says so
    """A refusal with its signed receipt, where there is one.

    Attributes:
        refusal: which rule, and what it saw.
        receipt: the refusal receipt; `None` where no account of this signer was named, where the journal
            may not be written, or where too many were written this hour.
    """

    def __init__(self, refusal: Refusal, receipt: Envelope | None) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal
        self.receipt = receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """What a decision is about, as far as it can be told before it is checked."""

    account: AccountId | None
    asset: Asset | None
    intent_digest: Digest
    inputs: tuple[Digest, ...]


def matter_of(intent: Envelope, others: Iterable[Envelope]) -> Matter:
    """Read only as much of an intent as a refusal receipt must name."""
    inputs = tuple(sorted({envelope.digest for envelope in (intent, *others)}))
    try:
        parsed = Intent.parse(intent.payload)
    except Refusal:
        return Matter(account=None, asset=None, intent_digest=intent.digest, inputs=inputs)
    return Matter(account=parsed.account, asset=parsed.asset, intent_digest=intent.digest, inputs=inputs)


async def decline(signer: Signer, matter: Matter, refusal: Refusal) -> Declined:
    """Write a refusal down and sign its receipt. The same refusal again gives the same receipt."""
    record = _refusal_record(signer, matter, refusal)
    if record is None:
        return Declined(refusal, None)
    return Declined(refusal, await signer.sealed(refusal_receipt(signer, record)))


def _refusal_record(signer: Signer, matter: Matter, refusal: Refusal) -> Record | None:
    views = signer.journal.views
    # A record on top of a rolled-back journal would make a second history of it.
    if not signer.reconciliation.whole or matter.account not in views.accounts:
        return None
    assert matter.account is not None  # noqa: S101 - None is in no mapping of accounts
    key = (matter.account, matter.intent_digest, refusal.tag, matter.inputs)
    if (known := views.refusals.get(key)) is not None:
        return known
    now = signer.wall_clock()
    recent = views.refused_at
    if len(recent) == REFUSALS_PER_HOUR_MAX and recent[0] > now - _HOUR:
        return None
    entry = Refused(
        account=matter.account,
        asset=matter.asset,
        intent_digest=matter.intent_digest,
        tag=refusal.tag,
        detail=Detail.of(refusal.detail),
        inputs=matter.inputs,
    )
    return signer.journal.append(entry, at=now)


def refusal_receipt(signer: Signer, record: Record) -> Receipt:
    """The receipt of a journaled refusal."""
    entry = record.entry
    assert isinstance(entry, Refused)  # noqa: S101 - only refusals are looked up here
    return Receipt(
        network=signer.network,
        signer=signer.id,
        act=Act.REFUSED,
        account=entry.account,
        intent_digest=entry.intent_digest,
        tags=(entry.tag,),
        inputs=entry.inputs,
        transaction=None,
        ethereum_custody=_custody(signer, entry.asset),
        journal_sequence=record.sequence,
        journal_head=record.head,
        at=record.at,
    )


def announce_receipt(signer: Signer, history: IntentHistory) -> Receipt:
    """The receipt that an intent was announced here."""
    inputs = _authority(signer, history)
    return _receipt(signer, history, history.record, act=Act.ANNOUNCED, transaction=None, inputs=inputs)


def signature_receipt(signer: Signer, history: IntentHistory, record: Record) -> Receipt:
    """The receipt that an attempt was signed here."""
    assert isinstance(record.entry, Signed)  # noqa: S101 - only signatures are looked up here
    transaction = record.entry.transaction_digest
    inputs = _authority(signer, history) | _announcements(signer, history)
    return _receipt(signer, history, record, act=Act.SIGNED, transaction=transaction, inputs=inputs)


def _receipt(
    signer: Signer,
    history: IntentHistory,
    record: Record,
    *,
    act: Act,
    transaction: Digest | None,
    inputs: set[Digest],
) -> Receipt:
    return Receipt(
        network=signer.network,
        signer=signer.id,
        act=act,
        account=history.intent.account,
        intent_digest=history.digest,
        tags=(),
        inputs=tuple(sorted(inputs)),
        transaction=transaction,
        ethereum_custody=_custody(signer, history.intent.asset),
        journal_sequence=record.sequence,
        journal_head=record.head,
        at=record.at,
    )


def _authority(signer: Signer, history: IntentHistory) -> set[Digest]:
    """What lets the intent be: what was handed over, and what this signer had agreed to before."""
    entry, account = history.entry, signer.journal.views.accounts[history.intent.account]
    handed_over = (entry.intent, entry.release, entry.allowlist_entry)
    agreed = {signer.policy_digest, account.account_digest}
    return {document.envelope.digest for document in handed_over} | agreed


def _announcements(signer: Signer, history: IntentHistory) -> set[Digest]:
    """Every signer's receipt that it knows of the intent, the own one included."""
    seen = signer.journal.views.peer_receipts
    theirs = {seen[peer, history.digest].receipt.envelope.digest for peer in signer.peer_ids}
    return theirs | {announce_receipt(signer, history).digest}


def _custody(signer: Signer, asset: Asset | None) -> EthereumCustody | None:
    """Said in every receipt of an outflow of ETH: one signer alone could have signed."""
    return signer.ethereum_custody if asset is Asset.ETH else None
