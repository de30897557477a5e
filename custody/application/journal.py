"""Every change of an account goes through here: entry, books, and the halt that a shortfall is."""

from collections.abc import Sequence

from custody.application.ports.store import UnitOfWork
from custody.domain.account import Halt, PledgeAccount
from custody.domain.ledger import Balances, Book, Cause, Entry, Movement
from signers.statements.amounts import Asset
from signers.statements.identifiers import Seconds


def change(
    uow: UnitOfWork,
    account: PledgeAccount,
    cause: Cause,
    *,
    now: Seconds,
    movements: tuple[Movement, ...] = (),
    balances: Balances | None = None,
    retracts_from: int | None = None,
) -> PledgeAccount:
    """Write one change of an account.

    The account is halted for a shortfall if and only if units are missing after the movements: what reveals a
    shortfall halts it, what fills the last of it lifts that halt.

    Args:
        uow: the unit of work under which `account` was read.
        account: as it was read, or with what shall be otherwise from now on.
        cause: why.
        now: the time.
        movements: of one asset; none where nothing moves.
        balances: the books of that asset before, if they were just read.
        retracts_from: the sequence from which on reports counted what this takes back; of a change that does.

    Returns:
        The account as written, one sequence further.
    """
    if any(Book.REORG_SHORTFALL in (movement.debit, movement.credit) for movement in movements):
        account = _with_shortfall(uow, account, movements)
    written = account.changed(sequence=account.sequence + 1, updated_at=now)
    uow.append(written, Entry(cause, now, movements, retracts_from), balances=balances)
    return written


def _with_shortfall(uow: UnitOfWork, account: PledgeAccount, movements: Sequence[Movement]) -> PledgeAccount:
    moved = movements[0].amount.asset
    after = [
        books.after(movements) if books.asset is moved else books
        for books in (uow.balances(account.account, asset) for asset in Asset)
    ]
    missing = any(books.shortfall for books in after)
    others = account.halts - {Halt.REORG_SHORTFALL}
    return account.changed(halts=others | {Halt.REORG_SHORTFALL} if missing else others)
