"""A deposit's three moments: seen, credited, reversed."""

from dataclasses import replace

from custody.application.access import existing_account
from custody.application.journal import change
from custody.application.ports.store import UnitOfWork
from custody.domain.chain_view import BlockRef
from custody.domain.deposit import Deposit, DepositEvent, DepositState, Outpoint, next_deposit_state
from custody.domain.identifiers import deposit_id
from custody.domain.ledger import Book, Cause, CauseKind, Movement, give, take
from signers.statements.amounts import Amount
from signers.statements.identifiers import AccountId, Seconds


def see(
    uow: UnitOfWork,
    account: AccountId,
    amount: Amount,
    block: BlockRef,
    *,
    reference: str,
    outpoint: Outpoint | None,
    now: Seconds,
) -> Deposit:
    """An arrival in a block: pending, counted for nothing yet.

    Args:
        uow: the unit of work.
        account: whose address it arrived at.
        amount: more than nothing.
        block: where it stands.
        reference: BTC the outpoint, ETH the address; with the block it names the deposit.
        outpoint: BTC only.
        now: the time.
    """
    name = deposit_id(asset=amount.asset, reference=reference, block_hash=block.block_hash)
    before = uow.deposit(account, name)
    if before is not None:
        next_deposit_state(before.state, DepositEvent.SEEN)
    deposit = Deposit(
        account=account,
        deposit_id=name,
        amount=amount,
        state=DepositState.PENDING,
        outpoint=outpoint,
        block=block,
        created_at=before.created_at if before else now,
        updated_at=now,
    )
    uow.save_deposit(deposit)
    change(
        uow,
        existing_account(uow, account),
        Cause(CauseKind.DEPOSIT, name),
        now=now,
        movements=(Movement(Book.EXTERNAL, Book.PENDING, amount),),
    )
    return deposit


def credit(uow: UnitOfWork, deposit: Deposit, *, now: Seconds) -> Deposit:
    """It is deep enough: a shortfall is filled first, the rest is available."""
    state = next_deposit_state(deposit.state, DepositEvent.CREDITED)
    credited = replace(deposit, state=state, credited_at=now, updated_at=now)
    uow.save_deposit(credited)
    books = uow.balances(deposit.account, deposit.amount.asset)
    change(
        uow,
        existing_account(uow, deposit.account),
        Cause(CauseKind.DEPOSIT, deposit.deposit_id),
        now=now,
        movements=give(books, Book.PENDING, deposit.amount),
        balances=books,
    )
    return credited


def reverse(uow: UnitOfWork, deposit: Deposit, *, now: Seconds) -> Deposit:
    """Its block left the chain: what it had done is taken back, a credit from what is available first."""
    state = next_deposit_state(deposit.state, DepositEvent.REVERSED)
    books = uow.balances(deposit.account, deposit.amount.asset)
    counted = uow.sequences_of(deposit.account, Cause(CauseKind.DEPOSIT, deposit.deposit_id))
    # Seen, or seen and credited: reports counted it from when it was seen in this block.
    seen_at = counted[-2 if deposit.state is DepositState.CREDITED else -1]
    if deposit.state is DepositState.CREDITED:
        movements = take(books, Book.EXTERNAL, deposit.amount)
    else:
        movements = (Movement(Book.PENDING, Book.EXTERNAL, deposit.amount),)
    reversed_ = replace(deposit, state=state, credited_at=None, reversed_at=now, updated_at=now)
    uow.save_deposit(reversed_)
    change(
        uow,
        existing_account(uow, deposit.account),
        Cause(CauseKind.DEPOSIT_REVERSED, deposit.deposit_id),
        now=now,
        movements=movements,
        balances=books,
        retracts_from=seen_at,
    )
    return reversed_
