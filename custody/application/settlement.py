"""What a chain does to a withdrawal: confirmed, final, or taken back."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from custody.application import accounts
from custody.application.access import existing_account
from custody.application.ports.store import Snapshot, UnitOfWork
from custody.application.withdrawals import save
from custody.domain.account import Halt
from custody.domain.errors import LedgerInvariant
from custody.domain.identifiers import TransactionId
from custody.domain.ledger import Book, Cause, CauseKind, Movement, give, take
from custody.domain.withdrawal import Attempt, Confirmation, Withdrawal
from custody.domain.withdrawal_states import SPENDABLE, WithdrawalEvent, WithdrawalState, step
from signers.statements.amounts import Asset, amount_of
from signers.statements.identifiers import AccountId, Seconds


def confirm(
    uow: UnitOfWork, withdrawal: Withdrawal, confirmation: Confirmation, *, now: Seconds
) -> Withdrawal:
    """A block holds one of its attempts. Nothing is posted before that is final."""
    state = step(withdrawal.state, WithdrawalEvent.CONFIRMED)
    attempts = tuple(
        replace(each, broadcast_at=each.broadcast_at or now) if each.number == confirmation.attempt else each
        for each in withdrawal.attempts
    )
    confirmed = replace(withdrawal, state=state, attempts=attempts, confirmation=confirmation)
    return save(uow, existing_account(uow, withdrawal.account), confirmed, now=now)


def attempt_of(
    uow: UnitOfWork, account: AccountId, transaction_id: TransactionId, *, now: Seconds
) -> tuple[Withdrawal, Attempt] | None:
    """The attempt of the account's that a transaction in a block is.

    Returns:
        `None` where it is none that could be: coins left without us, and the account was halted.
    """
    withdrawal = uow.withdrawal_of(transaction_id)
    if withdrawal is not None and withdrawal.account == account and withdrawal.state in SPENDABLE:
        for attempt in withdrawal.attempts:
            if attempt.transaction_id == transaction_id:
                return withdrawal, attempt
    accounts.halt(uow, account, Halt.UNKNOWN_SPEND, now=now)
    return None


def settle(uow: UnitOfWork, withdrawal: Withdrawal, *, now: Seconds) -> Withdrawal:
    """It is final: what was paid leaves the books, what was not is available again.

    Raises:
        StateConflict: it is not in a block.
    """
    state = step(withdrawal.state, WithdrawalEvent.FINALISED)
    account = existing_account(uow, withdrawal.account)
    books = uow.balances(withdrawal.account, withdrawal.asset)
    left = _left(withdrawal)
    rest = amount_of(withdrawal.asset, withdrawal.held.units - sum(m.amount.units for m in left))
    freed = give(books, Book.WITHDRAWING, rest)
    settled = replace(withdrawal, state=state, settled_at=now)
    return save(uow, account, settled, now=now, movements=left + freed)


def reopen(uow: UnitOfWork, withdrawal: Withdrawal, *, now: Seconds) -> Withdrawal:
    """A reorganisation removed its block: what was posted is reversed, and it is broadcast again.

    What had become available again may be encumbered by now; then a shortfall says so.

    Raises:
        StateConflict: no block held it.
    """
    state = step(withdrawal.state, WithdrawalEvent.REORGED)
    account = existing_account(uow, withdrawal.account)
    movements: tuple[Movement, ...] = ()
    if withdrawal.state is WithdrawalState.SETTLED:
        books = uow.balances(withdrawal.account, withdrawal.asset)
        left = _left(withdrawal)
        rest = amount_of(withdrawal.asset, withdrawal.held.units - sum(m.amount.units for m in left))
        back = tuple(Movement(m.credit, m.debit, m.amount) for m in left)
        movements = back + take(books, Book.WITHDRAWING, rest)
    opened = replace(withdrawal, state=state, confirmation=None, settled_at=None)
    changes = uow.sequences_of(withdrawal.account, Cause(CauseKind.WITHDRAWAL, withdrawal.withdrawal))
    # Confirmed, or confirmed and settled, and nothing since: reports counted it out from its block on.
    confirmed_at = changes[-2 if withdrawal.state is WithdrawalState.SETTLED else -1]
    return save(
        uow,
        account,
        opened,
        now=now,
        movements=movements,
        kind=CauseKind.WITHDRAWAL_REOPENED,
        retracts_from=confirmed_at,
    )


def leaving(snapshot: Snapshot, asset: Asset) -> Mapping[AccountId, int]:
    """What payouts that are in a block and not final have taken, by account, in smallest units.

    The books say so when it is final; the address has not got it any more. What comes in counts late, what
    goes out counts at once.
    """
    taken: Counter[AccountId] = Counter()
    for withdrawal in snapshot.withdrawals_in({WithdrawalState.CONFIRMING}, asset=asset):
        taken[withdrawal.account] += sum(movement.amount.units for movement in _left(withdrawal))
    return taken


def _left(withdrawal: Withdrawal) -> tuple[Movement, ...]:
    """What a confirmed withdrawal took out of its hold."""
    confirmation = withdrawal.confirmation
    if confirmation is None:
        raise LedgerInvariant(f"{withdrawal.withdrawal} is {withdrawal.state} without a confirmation")
    if confirmation.paid.units + confirmation.fee.units > withdrawal.held.units:
        raise LedgerInvariant(f"{withdrawal.withdrawal} cost more than was held for it")
    parts = ((Book.EXTERNAL, confirmation.paid), (Book.NETWORK_FEES, confirmation.fee))
    return tuple(Movement(Book.WITHDRAWING, book, amount) for book, amount in parts if amount)
