"""The signers' last words on what ended unpaid: nothing will be signed on it any more.

A secured party counts its release until the signers say so themselves (ADR 16). What was cancelled, or lapsed
before every signer was asked, they were never asked about; custody asks once everybody's clock has passed the
intent's end (`custody.workers.last_words`), and keeps what they say beside what they said before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from custody.application.access import existing_account, policy_in_force
from custody.application.ports.store import Snapshot, UnitOfWork
from custody.application.receipts import answer_of
from custody.application.withdrawals import record_of, save, statement_of
from custody.domain.errors import StateConflict, StatementMismatch
from custody.domain.identifiers import WithdrawalId
from custody.domain.withdrawal import SignerAnswer, Withdrawal
from custody.domain.withdrawal_states import WithdrawalState
from signers.statements.envelope import Envelope
from signers.statements.identifiers import AccountId, Seconds, SignerId
from signers.statements.receipt import Act
from signers.statements.refusals import Tag

LAST: Final = frozenset({Tag.INTENT_EXPIRED, Tag.AUTHORITY_EXPIRED})
"""Refusals that time only confirms: never announced here, or announced and never attempted (ADR 17)."""
CLOCKS_APART_SECONDS: Final = 2 * 3600
"""How far off a signer's clock may be before it refuses everything: until then, an intent may be current."""
ENDED_UNPAID: Final = frozenset({WithdrawalState.CANCELLED, WithdrawalState.EXPIRED})


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordLastWord:
    """Write down what a signer said of a withdrawal that has ended unpaid."""

    account: AccountId
    withdrawal: WithdrawalId
    act: Act
    envelope: Envelope
    """The receipt with exactly one signature, the signer's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unheard:
    """A withdrawal that ended unpaid, and the signers that could sign it and have not had their last word."""

    withdrawal: Withdrawal
    signers: tuple[SignerId, ...]


def unheard(snapshot: Snapshot, *, now: Seconds) -> Sequence[Unheard]:
    """Whom to ask, of what was released and can be current to no signer any more."""
    late = Seconds(max(0, now - CLOCKS_APART_SECONDS))
    ended = [
        each
        for each in snapshot.withdrawals_in(ENDED_UNPAID)
        if each.release is not None and each.expires_at < late
    ]
    found = (Unheard(withdrawal=each, signers=_silent(snapshot, each)) for each in ended)
    return [each for each in found if each.signers]


def record(uow: UnitOfWork, command: RecordLastWord, *, now: Seconds) -> Withdrawal:
    """Keep it. The state stays: nothing that a signer says opens the withdrawal again.

    What is no last word is kept as well: an announcement whose answer was lost, or a signature, which tells
    everybody that this signer lies.

    Raises:
        NotFound, StateConflict: no such withdrawal, or it has not ended unpaid.
        StatementMalformed, StatementMismatch: not this act of this intent, or a refusal that may pass.
        StatementSignature: not signed by the signer it names.
    """
    account, present = record_of(uow, command.account, command.withdrawal)
    if present.state not in ENDED_UNPAID:
        raise StateConflict(f"{present.withdrawal} is {present.state}", data={"state": present.state.value})
    answer = answer_of(command.envelope, command.act, present, policy=policy_in_force(uow).policy)
    if answer in (*present.announcements, *present.signed_receipts, *present.refusals):
        return present
    if answer.act is Act.REFUSED and LAST.isdisjoint(answer.tags):
        raise StatementMismatch(f"{', '.join(answer.tags)} may pass", field="envelope")
    return save(uow, account, _told(present, answer), now=now)


def _told(present: Withdrawal, answer: SignerAnswer) -> Withdrawal:
    match answer.act:
        case Act.ANNOUNCED:
            return replace(present, announcements=(*present.announcements, answer))
        case Act.SIGNED:
            return replace(present, signed_receipts=(*present.signed_receipts, answer))
        case Act.REFUSED:
            return replace(present, refusals=(*present.refusals, answer))


def _silent(snapshot: Snapshot, withdrawal: Withdrawal) -> tuple[SignerId, ...]:
    account, policy = existing_account(snapshot, withdrawal.account), policy_in_force(snapshot).policy
    statement = statement_of(snapshot, account, policy=policy)
    spoken = {answer.signer for answer in withdrawal.refusals if not LAST.isdisjoint(answer.tags)}
    spoken |= {answer.signer for answer in withdrawal.signed_receipts}
    return tuple(each for each in statement.could_sign(withdrawal.asset) if each not in spoken)
