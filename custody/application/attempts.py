"""Attempts: the transactions under one intent, all of them spending its anchor.

Each step writes down what the next one relies on before anybody outside hears of it, and may be repeated:
what is on record already changes nothing.
"""

from dataclasses import dataclass, replace
from typing import Final

from custody.application.access import policy_in_force
from custody.application.ports.store import UnitOfWork
from custody.application.receipts import answer_of
from custody.application.withdrawals import record_of, save
from custody.domain.deposit import Outpoint
from custody.domain.errors import (
    FieldInvalid,
    PolicyForbids,
    StateConflict,
    StatementMismatch,
    StatementStale,
)
from custody.domain.identifiers import TransactionId, WithdrawalId
from custody.domain.withdrawal import Attempt, PartialSignatures, Withdrawal
from custody.domain.withdrawal_states import WithdrawalEvent, WithdrawalState, step
from signers.statements.amounts import Amount, Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import AccountId, Seconds
from signers.statements.intent import OutpointAnchor
from signers.statements.receipt import Act
from signers.statements.refusals import Tag

ATTEMPTS_MAX: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginAttempt:
    """Write an attempt down before any signer is asked for it."""

    account: AccountId
    withdrawal: WithdrawalId
    fee: Amount
    inputs: tuple[Outpoint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSignatures:
    """Write down what one signer signed of an attempt, with its receipt."""

    account: AccountId
    withdrawal: WithdrawalId
    attempt: int
    partial: PartialSignatures
    receipt: Envelope


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordTransaction:
    """Write the complete transaction down before any node hears of it."""

    account: AccountId
    withdrawal: WithdrawalId
    attempt: int
    transaction_id: TransactionId
    raw: bytes
    """Verified by a second implementation against the intent and the consensus rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkBroadcast:
    """A node has the transaction."""

    account: AccountId
    withdrawal: WithdrawalId
    attempt: int


def begin_attempt(uow: UnitOfWork, command: BeginAttempt, *, now: Seconds) -> Withdrawal:
    """Write an attempt down, or go on with the one that is not finished yet.

    Raises:
        NotFound, StateConflict: no such withdrawal, no attempt may begin, or another one is not finished.
        AccountHalted: nothing flows out.
        FieldInvalid: no higher fee than before; inputs that were not set aside, without the anchor, or that
            do not cover amount and fee.
        PolicyForbids: the fees of all attempts together exceed the intent's cap.
        StatementStale: it would be the first, and the intent has expired: no signer would sign it.
    """
    account, present = record_of(uow, command.account, command.withdrawal)
    unfinished = present.attempt if present.attempt and present.attempt.raw is None else None
    if unfinished is not None:
        _require_same(command, unfinished)
        if present.state is WithdrawalState.SIGNING:
            return present
    state = step(present.state, WithdrawalEvent.ATTEMPTED)
    account.require_unhalted()
    if unfinished is not None:
        # A reorganisation opened the withdrawal again while a later attempt was being signed.
        return save(uow, account, replace(present, state=state), now=now)
    if not present.attempts and now >= present.expires_at:
        raise StatementStale(f"the intent expired at {present.expires_at}", tag=Tag.AUTHORITY_EXPIRED)
    _require_attempt(uow, command, present)
    attempt = Attempt(
        number=len(present.attempts) + 1, fee=command.fee, inputs=command.inputs, created_at=now
    )
    begun = replace(present, state=state, attempts=(*present.attempts, attempt))
    return save(uow, account, begun, now=now)


def _require_same(command: BeginAttempt, unfinished: Attempt) -> None:
    if (unfinished.fee, unfinished.inputs) != (command.fee, command.inputs):
        raise StateConflict(f"attempt {unfinished.number} is not finished", field="fee")


def _require_attempt(uow: UnitOfWork, command: BeginAttempt, present: Withdrawal) -> None:
    if len(present.attempts) >= ATTEMPTS_MAX:
        raise PolicyForbids(f"{ATTEMPTS_MAX} attempts were made", field="fee", tag=Tag.FEE_BUDGET)
    if command.fee.asset is not present.asset or not command.fee:
        raise FieldInvalid(f"a fee of {command.fee}", field="fee")
    if present.attempt is not None and command.fee.units <= present.attempt.fee.units:
        raise FieldInvalid(f"a fee of {command.fee} after {present.attempt.fee}", field="fee")
    # Signers count every attempt they signed against the cap, whichever confirms.
    spent = sum(attempt.fee.units for attempt in present.attempts) + command.fee.units
    if spent > present.fee_cap.units:
        raise PolicyForbids(
            f"attempts cost {spent}, the cap is {present.fee_cap}", field="fee", tag=Tag.FEE_CAP
        )
    if present.asset is Asset.ETH:
        if command.inputs:
            raise FieldInvalid("an Ethereum attempt has no inputs", field="inputs")
        return
    anchor = present.anchor
    if not isinstance(anchor, OutpointAnchor) or Outpoint(anchor.txid, anchor.index) not in command.inputs:
        raise FieldInvalid("every attempt spends the anchor", field="inputs", tag=Tag.ANCHOR_MISMATCH)
    if not set(command.inputs) <= set(present.coins) or len(set(command.inputs)) != len(command.inputs):
        raise FieldInvalid("an input was not set aside", field="inputs", tag=Tag.INPUT_NOT_OURS)
    coins = (uow.coin(outpoint) for outpoint in command.inputs)
    if sum(c.amount.units for c in coins if c is not None) < present.amount.units + command.fee.units:
        raise FieldInvalid("the inputs do not cover amount and fee", field="inputs")


def record_signatures(uow: UnitOfWork, command: RecordSignatures, *, now: Seconds) -> Withdrawal:
    """Keep one signer's part of an attempt; the same again changes nothing.

    Raises:
        NotFound, StateConflict: no such withdrawal or attempt, or it is not being signed.
        StatementMalformed, StatementMismatch, StatementSignature: not this signer's receipt for this intent.
    """
    account, present = record_of(uow, command.account, command.withdrawal)
    answer = answer_of(command.receipt, Act.SIGNED, present, policy=policy_in_force(uow).policy)
    if answer.signer != command.partial.signer:
        raise StatementMismatch(f"the receipt is {answer.signer}'s", field="receipt")
    attempt = _latest(present, command.attempt)
    if command.partial in attempt.partials:
        return present
    state = step(present.state, WithdrawalEvent.ANSWERED)
    others = tuple(p for p in attempt.partials if p.signer != answer.signer)
    receipts = tuple(r for r in present.signed_receipts if r.envelope != answer.envelope)
    signed = _with_attempt(
        replace(present, state=state, signed_receipts=(*receipts, answer)),
        replace(attempt, partials=(*others, command.partial)),
    )
    return save(uow, account, signed, now=now)


def record_transaction(uow: UnitOfWork, command: RecordTransaction, *, now: Seconds) -> Withdrawal:
    """Keep the complete transaction; it is broadcast next.

    Raises:
        NotFound, StateConflict: no such withdrawal or attempt, or it is not being signed.
    """
    account, present = record_of(uow, command.account, command.withdrawal)
    attempt = _latest(present, command.attempt)
    if (attempt.transaction_id, attempt.raw) == (command.transaction_id, command.raw):
        return present
    state = step(present.state, WithdrawalEvent.FINISHED)
    finished = replace(attempt, transaction_id=command.transaction_id, raw=command.raw)
    return save(uow, account, _with_attempt(replace(present, state=state), finished), now=now)


def mark_broadcast(uow: UnitOfWork, command: MarkBroadcast, *, now: Seconds) -> Withdrawal:
    """A node has the transaction; asked again, the state stays.

    Raises:
        NotFound, StateConflict: no such withdrawal or attempt, or there is nothing to send.
    """
    account, present = record_of(uow, command.account, command.withdrawal)
    attempt = _latest(present, command.attempt)
    state = step(present.state, WithdrawalEvent.SENT)
    if state is present.state and attempt.broadcast_at is not None:
        return present
    sent = _with_attempt(replace(present, state=state), replace(attempt, broadcast_at=now))
    return save(uow, account, sent, now=now)


def _latest(present: Withdrawal, number: int) -> Attempt:
    attempt = present.attempt
    if attempt is None or attempt.number != number:
        raise StateConflict(f"attempt {number} is not the latest", field="attempt")
    return attempt


def _with_attempt(withdrawal: Withdrawal, attempt: Attempt) -> Withdrawal:
    return replace(withdrawal, attempts=(*withdrawal.attempts[:-1], attempt))
