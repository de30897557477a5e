"""`Announce`: everything that can be known about an intent before its timelock runs.

What is announced binds this signer: until the anchor is spent at finality on its own node it accepts nothing
else for that account and asset.
"""

from __future__ import annotations

from dataclasses import dataclass

from signers.journal import Announced, IntentHistory, document
from signers.rules import agreement, anchors, limits, moment
from signers.rules.decision import Matter, announce_receipt, decline, matter_of
from signers.rules.signer import Signer
from signers.statements.envelope import Envelope
from signers.statements.intent import Intent
from signers.statements.refusals import Refusal, Tag, refuse_unless


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What custody hands over. Nothing of it is believed but the signatures."""

    intent: Envelope
    release: Envelope | None
    allowlist_entry: Envelope


async def announce(signer: Signer, announcement: Announcement) -> Envelope:
    """Check an intent, write it down, and say so in a receipt. Asked again: the identical receipt.

    Raises:
        Declined: a rule refused.
        NodeUnavailable: the own node does not answer.
    """
    matter = _matter(announcement)
    try:
        signer.require_ready()
        intent = Intent.read(announcement.intent, network=signer.network)
        async with signer.locks.of(intent.account):
            history = await _announced(signer, announcement, intent)
    except Refusal as refusal:
        raise await decline(signer, matter, refusal) from refusal
    return await signer.sealed(announce_receipt(signer, history))


def _matter(announcement: Announcement) -> Matter:
    others = [announcement.allowlist_entry]
    if announcement.release is not None:
        others.append(announcement.release)
    return matter_of(announcement.intent, others)


async def _announced(signer: Signer, announcement: Announcement, intent: Intent) -> IntentHistory:
    if (known := signer.journal.views.intents.get(intent.digest)) is not None:
        return known
    require_one_payout(signer, intent)
    account = agreement.require_account(signer, intent)
    chain = signer.chains[intent.asset]
    agreement.require_policy(signer, intent, account)
    now = await moment.trusted(signer, chain, intent.asset)
    agreement.require_current(signer, intent, now.at)
    agreement.require_approved(signer, announcement.intent, intent, account, now.at)
    release = agreement.require_released(announcement.release, intent, account, now.at)
    agreement.require_destination(
        signer, announcement.allowlist_entry, intent=intent, account=account, chain=chain, at=now.at
    )
    limits.require_fee_cap(signer, intent)
    limits.require_velocity(signer, intent, now.at)
    await chain.require_anchor(intent, account)
    await anchors.require_free(signer, intent, account, now.tip.point)
    signer.journal.append(
        Announced(
            intent=document(announcement.intent),
            release=document(release),
            allowlist_entry=document(announcement.allowlist_entry),
            seen_at=now.tip.point,
        ),
        at=now.at,
    )
    return signer.journal.views.intents[intent.digest]


def require_one_payout(signer: Signer, intent: Intent) -> None:
    """One intent id means one payout for ever: a display that showed another one gets nowhere.

    Raises:
        Refusal: `journal-conflict`.
    """
    known = signer.journal.views.digest_of.get(intent.intent)
    refuse_unless(known is None, Tag.JOURNAL_CONFLICT, f"{intent.intent} was announced as {known}")
