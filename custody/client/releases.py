"""When a release has ended: nothing can leave on it any more, whoever still holds it.

That a withdrawal is cancelled, expired or settled is custody's word, and ends nothing: what enough signers
signed in time can confirm until its anchor is spent. The signers' own words end a release (ADR 17), or its
anchor, which is spent once (ADR 7).
"""

from collections.abc import Collection, Iterable
from typing import Final

from bailee.custody.v1 import posting_pb2, withdrawal_pb2

from custody.client.amounts import from_amount
from custody.client.signing_record import SignedRelease
from signers.statements.amounts import Asset
from signers.statements.identifiers import Seconds, SignerId
from signers.statements.intent import Anchor
from signers.statements.policy import SIGNER_THRESHOLD
from signers.statements.receipt import Act, Receipt
from signers.statements.refusals import Tag
from signers.statements.report import Report

SIGNERS_SKEW_SECONDS: Final = 2 * 3600
"""How far a signer's clock may be off before it refuses: until then an intent may still be current to it."""

_AT_THE_ADDRESS: Final = frozenset({"available", "reserved", "posted", "withdrawing", "reorg_shortfall"})
_WITHDRAWING: Final = "withdrawing"
_EXTERNAL: Final = "external"


def deducted(releases: Iterable[SignedRelease]) -> dict[Asset, int]:
    """The most that can still leave, in smallest units: of the releases on one anchor at most one is paid."""
    most: dict[Anchor, int] = {}
    for release in releases:
        anchor = release.intent.anchor
        most[anchor] = max(most.get(anchor, 0), release.held.units)
    totals: dict[Asset, int] = {}
    for anchor, units in most.items():
        totals[anchor.asset] = totals.get(anchor.asset, 0) + units
    return totals


def is_unsignable(
    release: SignedRelease,
    receipts: Collection[Receipt],
    *,
    could_sign: Collection[SignerId],
    now: Seconds,
) -> bool:
    """Whether too few signers will ever sign its intent, by their own words.

    To sign, a signer needs the announcements of *all*, and an honest one never announces what it has refused
    as expired: of as many such refusals as signers can spend, one at least is an honest signer's. That an
    announced intent will not be signed any more each says for itself alone: there it takes all that could
    sign, for the one that may lie can still sign, and another one may have signed in time. Of ETH that is the
    holder alone; one that lies needs no intent.

    Args:
        release: as it was signed here.
        receipts: each verified to be a signer's word on this intent.
        could_sign: whose signatures the outflow can carry, by the account statement.
        now: this machine's time.
    """
    expired = release.intent.expires_at
    if now <= expired + SIGNERS_SKEW_SECONDS:
        return False
    signed = {r.signer for r in receipts if r.act is Act.SIGNED}
    announced = {r.signer for r in receipts if r.act is Act.ANNOUNCED}
    never_announced = {r.signer for r in receipts if Tag.INTENT_EXPIRED in r.tags and r.at >= expired}
    never_announced -= announced | signed
    never_signed = never_announced | {r.signer for r in receipts if Tag.AUTHORITY_EXPIRED in r.tags} - signed
    return len(never_announced) >= SIGNER_THRESHOLD or never_signed.issuperset(could_sign)


def has_left(
    release: SignedRelease,
    resource: withdrawal_pb2.Withdrawal,
    report: Report,
    postings: Iterable[posting_pb2.Posting],
) -> bool:
    """Whether its coins have left, by everything that custody says, and are nowhere counted any more.

    The report is signed, the postings are not: they must show the whole payout, and the report must not have
    more than they leave.

    Args:
        release: as it was signed here.
        resource: its withdrawal, as the service shows it.
        report: verified.
        postings: the account's whole ledger, read after the report.

    Raises:
        VerificationError: a posting of no amount.
    """
    if (resource.state, resource.intent_digest) != (
        withdrawal_pb2.Withdrawal.STATE_SETTLED,
        release.intent.digest,
    ):
        return False
    asset, paid, left = release.held.asset, 0, 0
    for posting in postings:
        amount = from_amount(posting.amount)
        if amount.asset is not asset or posting.account_sequence > report.account_sequence:
            continue
        left += amount.units * ((posting.credit in _AT_THE_ADDRESS) - (posting.debit in _AT_THE_ADDRESS))
        if posting.resource == resource.name:
            books = (posting.debit, posting.credit)
            paid += amount.units * (
                (books == (_WITHDRAWING, _EXTERNAL)) - (books == (_EXTERNAL, _WITHDRAWING))
            )
    counted = sum(position.confirmed.units for position in report.positions if position.asset is asset)
    return paid >= release.intent.amount.units and counted <= max(0, left)
