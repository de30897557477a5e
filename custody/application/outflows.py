"""Withdrawals, from the driver's side: plan, gather the signers' answers, attempt, send.

Each step writes down what the next one relies on before anybody outside hears of it, and may be repeated:
what is on record already changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from custody.application.access import existing_account, policy_in_force
from custody.application.consents import missing_of
from custody.application.ports.store import Snapshot, UnitOfWork
from custody.application.signed import read, require_single_signature
from custody.application.withdrawals import end, save, withdrawal_of
from custody.domain.account import PledgeAccount
from custody.domain.deposit import Coin, CoinOrigin, DepositState, Outpoint
from custody.domain.errors import (
    FieldInvalid,
    PolicyForbids,
    StateConflict,
    StatementMismatch,
)
from custody.domain.identifiers import TransactionId, WithdrawalId, deposit_id
from custody.domain.outflow import Attempt, PartialSignatures, SignerAnswer, Withdrawal
from custody.domain.withdrawal import OPEN, WithdrawalEvent, WithdrawalState, step
from signers.statements.amounts import Amount, Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import AccountId, IntentId, Seconds
from signers.statements.intent import Anchor, Intent, IntentKind, NonceAnchor, OutpointAnchor
from signers.statements.policy import Policy
from signers.statements.receipt import Act, Receipt
from signers.statements.refusals import Tag

COINS_MAX: Final = 64
"""The most inputs of one transaction: what a signer takes (signer.proto)."""

ATTEMPTS_MAX: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanWithdrawal:
    """Fix what everybody signs."""

    account: AccountId
    withdrawal: WithdrawalId
    intent: IntentId
    """A fresh UUID4."""
    anchor: Anchor
    """BTC: one of `coins`. ETH: the account's next nonce."""
    coins: tuple[Outpoint, ...] = ()
    """BTC: what to spend, covering amount and fee cap. ETH: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordAnswer:
    """Write a signer's receipt down."""

    account: AccountId
    withdrawal: WithdrawalId
    envelope: Envelope
    """The receipt with exactly one signature, the signer's."""


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


Step = PlanWithdrawal | RecordAnswer | BeginAttempt | RecordSignatures | RecordTransaction | MarkBroadcast


def to_drive(snapshot: Snapshot) -> Sequence[Withdrawal]:
    """Every open withdrawal, the longest unchanged first; the driver's work list."""
    return snapshot.withdrawals_in(OPEN)


def spendable(snapshot: Snapshot, account: AccountId) -> Sequence[Coin]:
    """The coins that an intent may spend: standing, credited or change, planned for nothing open."""
    return [coin for coin in snapshot.coins(account) if _free(snapshot, coin)]


def _free(snapshot: Snapshot, coin: Coin) -> bool:
    if coin.planned_for is not None:
        planned = snapshot.withdrawal(coin.account, coin.planned_for)
        if planned is not None and planned.open:
            return False
    if coin.origin is CoinOrigin.CHANGE or coin.block is None:
        return coin.standing
    name = deposit_id(asset=Asset.BTC, reference=str(coin.outpoint), block_hash=coin.block.block_hash)
    deposit = snapshot.deposit(coin.account, name)
    return coin.standing and deposit is not None and deposit.state is DepositState.CREDITED


def plan(uow: UnitOfWork, command: PlanWithdrawal, *, now: Seconds) -> Withdrawal:
    """Set the coins aside and write the intent; the people sign next.

    Raises:
        NotFound: no such withdrawal.
        StateConflict: planned already, or ended; or a coin is not the account's to spend.
        FieldInvalid: the anchor is none of the coins, of another chain or not the next nonce; or the coins
            do not cover amount and fee cap.
    """
    account, present = _present(uow, command)
    state = step(present.state, WithdrawalEvent.PLANNED)
    account.require_unhalted()
    policy = policy_in_force(uow)
    if present.asset is Asset.BTC:
        _set_aside(uow, command, present)
    else:
        _require_next_nonce(uow, command, policy=policy.policy)
    intent = Intent(
        network=policy.policy.network,
        intent=command.intent,
        account=present.account,
        kind=IntentKind.WITHDRAWAL,
        maker=present.maker,
        destination_id=present.destination_id,
        destination=present.destination,
        amount=present.amount,
        fee_cap=present.fee_cap,
        anchor=command.anchor,
        policy_digest=policy.digest,
        created_at=now,
        expires_at=Seconds(now + policy.policy.intent_lifetime_max_seconds),
    )
    envelope = intent.envelope()
    planned = replace(
        present,
        state=state,
        intent=envelope,
        intent_digest=envelope.digest,
        anchor=command.anchor,
        coins=command.coins,
        expires_at=intent.expires_at,
    )
    missing = missing_of(planned, account=account, policy=policy.policy, now=now)
    return save(uow, account, replace(planned, missing=missing), now=now)


def _set_aside(uow: UnitOfWork, command: PlanWithdrawal, present: Withdrawal) -> None:
    if not 0 < len(command.coins) <= COINS_MAX or len(set(command.coins)) != len(command.coins):
        raise FieldInvalid(f"1 to {COINS_MAX} distinct coins", field="coins")
    anchor = command.anchor
    if not isinstance(anchor, OutpointAnchor) or Outpoint(anchor.txid, anchor.index) not in command.coins:
        raise FieldInvalid("the anchor is one of the coins", field="anchor")
    free = {coin.outpoint: coin for coin in spendable(uow, command.account)}
    if any(outpoint not in free for outpoint in command.coins):
        raise StateConflict("a coin is not free to spend", data={"coins": " ".join(map(str, command.coins))})
    total = sum(free[outpoint].amount.units for outpoint in command.coins)
    if total < present.held.units:
        raise FieldInvalid(f"{total} sat do not cover {present.held}", field="coins")
    for outpoint in command.coins:
        uow.save_coin(replace(free[outpoint], planned_for=command.withdrawal))


def _require_next_nonce(uow: UnitOfWork, command: PlanWithdrawal, *, policy: Policy) -> None:
    anchor, last = command.anchor, uow.finalised_balance(command.account)
    expected = last.nonce if last is not None else 0
    if not isinstance(anchor, NonceAnchor) or anchor.chain_id != policy.network.chain_id or command.coins:
        raise FieldInvalid("the anchor is a nonce of this chain, and there are no coins", field="anchor")
    if anchor.nonce != expected:
        raise FieldInvalid(f"nonce {anchor.nonce}, the next one is {expected}", field="anchor")


def record_announcement(uow: UnitOfWork, command: RecordAnswer, *, now: Seconds) -> Withdrawal:
    """Keep a signer's announcement; with the last signer's the timelock runs.

    Raises:
        NotFound, StateConflict: no such withdrawal, or it is not being announced.
        StatementMalformed, StatementMismatch: not an announcement of this intent.
        StatementSignature: not signed by the signer it names.
    """
    account, present = _present(uow, command)
    policy = policy_in_force(uow).policy
    answer = _answer(command.envelope, Act.ANNOUNCED, present, policy=policy)
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
    account, present = _present(uow, command)
    answer = _answer(command.envelope, Act.REFUSED, present, policy=policy_in_force(uow).policy)
    if any((known.signer, known.tags) == (answer.signer, answer.tags) for known in present.refusals):
        return present
    state = step(present.state, WithdrawalEvent.ANSWERED)
    refused = replace(present, state=state, refusals=(*present.refusals, answer))
    return save(uow, account, refused, now=now)


def _answer(envelope: Envelope, act: Act, present: Withdrawal, *, policy: Policy) -> SignerAnswer:
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


def begin_attempt(uow: UnitOfWork, command: BeginAttempt, *, now: Seconds) -> Withdrawal:
    """Write an attempt down, or go on with the one that is not finished yet.

    Raises:
        NotFound, StateConflict: no such withdrawal, no attempt may begin, or another one is not finished.
        AccountHalted: nothing flows out.
        FieldInvalid: no higher fee than before; inputs that were not set aside, without the anchor, or that
            do not cover amount and fee.
        PolicyForbids: the fees of all attempts together exceed the intent's cap.
    """
    account, present = _present(uow, command)
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
    account, present = _present(uow, command)
    answer = _answer(command.receipt, Act.SIGNED, present, policy=policy_in_force(uow).policy)
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
    account, present = _present(uow, command)
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
    account, present = _present(uow, command)
    attempt = _latest(present, command.attempt)
    state = step(present.state, WithdrawalEvent.SENT)
    if state is present.state and attempt.broadcast_at is not None:
        return present
    sent = _with_attempt(replace(present, state=state), replace(attempt, broadcast_at=now))
    return save(uow, account, sent, now=now)


def expire_due(uow: UnitOfWork, *, now: Seconds) -> int:
    """End the withdrawals whose intent has run out before any signer could act on it.

    While signatures are awaited nobody outside has the intent complete. While it is being announced, a signer
    may have journaled it and its answer be lost; but signing needs the announcements of *all* signers, so one
    signer's signed word that the intent had expired unannounced proves that it can never be signed.

    Returns:
        How many.
    """
    due = [
        withdrawal
        for withdrawal in uow.withdrawals_in(
            {
                WithdrawalState.REQUESTED,
                WithdrawalState.AWAITING_SIGNATURES,
                WithdrawalState.ANNOUNCING,
            }
        )
        if withdrawal.expires_at <= now and _unannounceable(withdrawal)
    ]
    for withdrawal in due:
        account = existing_account(uow, withdrawal.account)
        end(uow, account, withdrawal, WithdrawalEvent.LAPSED, now=now)
    return len(due)


def _unannounceable(withdrawal: Withdrawal) -> bool:
    if withdrawal.state is not WithdrawalState.ANNOUNCING:
        return True
    announced = {answer.signer for answer in withdrawal.announcements}
    return any(
        Tag.INTENT_EXPIRED in refusal.tags and refusal.signer not in announced
        for refusal in withdrawal.refusals
    )


def _present(uow: UnitOfWork, command: Step) -> tuple[PledgeAccount, Withdrawal]:
    account = existing_account(uow, command.account)
    return account, withdrawal_of(uow, command.account, command.withdrawal)


def _latest(present: Withdrawal, number: int) -> Attempt:
    attempt = present.attempt
    if attempt is None or attempt.number != number:
        raise StateConflict(f"attempt {number} is not the latest", field="attempt")
    return attempt


def _with_attempt(withdrawal: Withdrawal, attempt: Attempt) -> Withdrawal:
    return replace(withdrawal, attempts=(*withdrawal.attempts[:-1], attempt))
