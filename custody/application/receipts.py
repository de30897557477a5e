"""The signers' receipts: custody checks whose they are and what about, keeps them, and passes them on."""

from dataclasses import dataclass, replace

from custody.application.access import policy_in_force
from custody.application.ports.store import UnitOfWork
from custody.application.signed import read, require_single_signature
from custody.application.withdrawals import record_of, save
from custody.domain.errors import StatementMismatch
from custody.domain.identifiers import WithdrawalId
from custody.domain.withdrawal import SignerAnswer, Withdrawal
from custody.domain.withdrawal_states import WithdrawalEvent, step
from signers.statements.envelope import Envelope
from signers.statements.identifiers import AccountId, Seconds
from signers.statements.policy import Policy
from signers.statements.receipt import Act, Receipt
from signers.statements.refusals import Tag


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordAnswer:
    """Write a signer's receipt down."""

    account: AccountId
    withdrawal: WithdrawalId
    envelope: Envelope
    """The receipt with exactly one signature, the signer's."""


def record_announcement(uow: UnitOfWork, command: RecordAnswer, *, now: Seconds) -> Withdrawal:
    """Keep a signer's announcement; with the last signer's the timelock runs.

    Raises:
        NotFound, StateConflict: no such withdrawal, or it is not being announced.
        StatementMalformed, StatementMismatch: not an announcement of this intent.
        StatementSignature: not signed by the signer it names.
    """
    account, present = record_of(uow, command.account, command.withdrawal)
    policy = policy_in_force(uow).policy
    answer = answer_of(command.envelope, Act.ANNOUNCED, present, policy=policy)
    if any(known.signer == answer.signer for known in present.announcements):
        return present
    announcements = (*present.announcements, answer)
    heard = {known.signer for known in announcements}
    if any(terms.signer not in heard for terms in policy.signers):
        state = step(present.state, WithdrawalEvent.ANSWERED)
        return save(uow, account, replace(present, announcements=announcements, state=state), now=now)
    last = max(known.at for known in announcements)
    announced = replace(
        present,
        announcements=announcements,
        state=step(present.state, WithdrawalEvent.ANNOUNCED),
        timelock_ends_at=Seconds(last + policy.tier_of(present.amount).timelock_seconds),
    )
    return save(uow, account, announced, now=now)


def record_refusal(uow: UnitOfWork, command: RecordAnswer, *, now: Seconds) -> Withdrawal:
    """Keep a signer's refusal. The state stays: the driver asks again, with growing pauses.

    The same signer's refusal by the same rules is kept once, so that asking again does not grow the record.

    Raises:
        NotFound, StateConflict: no such withdrawal, or no signer is being asked.
        StatementMalformed, StatementMismatch: not a refusal of this intent.
        StatementSignature: not signed by the signer it names.
    """
    account, present = record_of(uow, command.account, command.withdrawal)
    answer = answer_of(command.envelope, Act.REFUSED, present, policy=policy_in_force(uow).policy)
    if any((known.signer, known.tags) == (answer.signer, answer.tags) for known in present.refusals):
        return present
    state = step(present.state, WithdrawalEvent.ANSWERED)
    refused = replace(present, state=state, refusals=(*present.refusals, answer))
    return save(uow, account, refused, now=now)


def answer_of(envelope: Envelope, act: Act, present: Withdrawal, *, policy: Policy) -> SignerAnswer:
    """What a receipt says.

    Raises:
        StatementMalformed, StatementMismatch: not this act of this intent, or of no signer of the policy.
        StatementSignature: not signed by the signer it names, and by it alone.
    """
    receipt = read(Receipt, envelope, network=policy.network)
    named = (receipt.act, receipt.account, receipt.intent_digest)
    if named != (act, present.account, present.intent_digest):
        raise StatementMismatch(f"{receipt.act} of {receipt.intent_digest}", field="envelope")
    try:
        key = policy.signer(receipt.signer).public_key
    except LookupError as error:
        raise StatementMismatch(str(error), field="envelope") from error
    require_single_signature(envelope, key, tag=Tag.SIGNATURE_INVALID, whose=receipt.signer)
    return SignerAnswer(signer=receipt.signer, act=act, tags=receipt.tags, envelope=envelope, at=receipt.at)
