"""What a caller reads of the ledger: scoped to its accounts, paged from the first day.

Reports and prices are not here: the edge gives them from the store's projection.
Pages rise by key. `after` is the key of the last row of the page before; the edge makes it an opaque token.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from custody.application.access import account_of, onboarding_of, scope_of
from custody.application.destinations import destination_of
from custody.application.ports.store import ROWS_MAX, Snapshot
from custody.application.withdrawals import withdrawal_of
from custody.domain.account import Dossier, PledgeAccount
from custody.domain.deposit import Deposit
from custody.domain.destination import AllowedDestination
from custody.domain.errors import NotFound
from custody.domain.identifiers import DepositId, WithdrawalId
from custody.domain.ledger import Posting
from custody.domain.lien import Lien
from custody.domain.principal import Principal
from custody.domain.withdrawal import Withdrawal
from signers.statements.identifiers import AccountId, DestinationId, LienId

T = TypeVar("T")
K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Page(Generic[T, K]):
    """Rows in rising order of their key."""

    items: tuple[T, ...]
    next_after: K | None
    """Where the next page begins; `None` on the last one."""


def account(snapshot: Snapshot, account: AccountId, *, principal: Principal) -> Dossier:
    """One account. Raises `AccountNotFound`."""
    return _dossier(snapshot, account_of(snapshot, account, principal=principal))


def accounts(
    snapshot: Snapshot, *, principal: Principal, after: AccountId | None, limit: int
) -> Page[Dossier, AccountId]:
    """The accounts in the caller's scope, by id."""
    scope = scope_of(principal)
    if scope is None:
        return Page((), None)
    page = _page(
        lambda bound: snapshot.accounts(scope, after=after, limit=bound), limit, lambda row: row.account
    )
    return Page(tuple(_dossier(snapshot, row) for row in page.items), page.next_after)


def _dossier(snapshot: Snapshot, account: PledgeAccount) -> Dossier:
    return Dossier(account=account, onboarding=onboarding_of(snapshot, account.account))


def destination(
    snapshot: Snapshot, account: AccountId, destination_id: DestinationId, *, principal: Principal
) -> AllowedDestination:
    """One allowlist entry. Raises `NotFound`."""
    account_of(snapshot, account, principal=principal)
    return destination_of(snapshot, account, destination_id)


def destinations(
    snapshot: Snapshot,
    account: AccountId,
    *,
    principal: Principal,
    after: DestinationId | None,
    limit: int,
) -> Page[AllowedDestination, DestinationId]:
    """An account's allowlist, by id. Raises `AccountNotFound`."""
    account_of(snapshot, account, principal=principal)
    return _page(
        lambda bound: snapshot.destinations(account, after=after, limit=bound),
        limit,
        lambda row: row.destination_id,
    )


def deposits(
    snapshot: Snapshot, account: AccountId, *, principal: Principal, after: DepositId | None, limit: int
) -> Page[Deposit, DepositId]:
    """An account's deposits, by id. Raises `AccountNotFound`."""
    account_of(snapshot, account, principal=principal)
    return _page(
        lambda bound: snapshot.deposits(account, after=after, limit=bound),
        limit,
        lambda row: row.deposit_id,
    )


def lien(snapshot: Snapshot, account: AccountId, lien: LienId, *, principal: Principal) -> Lien:
    """One lien. Raises `NotFound`."""
    account_of(snapshot, account, principal=principal)
    found = snapshot.lien(account, lien)
    if found is None:
        raise NotFound("lien", f"{lien} of {account}", field="lien")
    return found


def liens(
    snapshot: Snapshot, account: AccountId, *, principal: Principal, after: LienId | None, limit: int
) -> Page[Lien, LienId]:
    """An account's liens, by id. Raises `AccountNotFound`."""
    account_of(snapshot, account, principal=principal)
    return _page(lambda bound: snapshot.liens(account, after=after, limit=bound), limit, lambda row: row.lien)


def withdrawal(
    snapshot: Snapshot, account: AccountId, withdrawal: WithdrawalId, *, principal: Principal
) -> Withdrawal:
    """One withdrawal. Raises `NotFound`."""
    account_of(snapshot, account, principal=principal)
    return withdrawal_of(snapshot, account, withdrawal)


def withdrawals(
    snapshot: Snapshot,
    account: AccountId,
    *,
    principal: Principal,
    after: WithdrawalId | None,
    limit: int,
) -> Page[Withdrawal, WithdrawalId]:
    """An account's withdrawals, by id. Raises `AccountNotFound`."""
    account_of(snapshot, account, principal=principal)
    return _page(
        lambda bound: snapshot.withdrawals(account, after=after, limit=bound),
        limit,
        lambda row: row.withdrawal,
    )


def postings(
    snapshot: Snapshot,
    account: AccountId,
    *,
    principal: Principal,
    after: tuple[int, int] | None,
    limit: int,
) -> Page[Posting, tuple[int, int]]:
    """An account's ledger statement, oldest first, by sequence and index. Raises `AccountNotFound`."""
    account_of(snapshot, account, principal=principal)
    return _page(
        lambda bound: snapshot.postings(account, after=after, limit=bound),
        limit,
        lambda row: (row.sequence, row.index),
    )


def _page(rows: Callable[[int], Sequence[T]], limit: int, key: Callable[[T], K]) -> Page[T, K]:
    """One row more than asked for tells whether there is a next page."""
    bound = max(1, min(limit, ROWS_MAX - 1))
    found = rows(bound + 1)
    items = tuple(found[:bound])
    return Page(items, key(items[-1]) if len(found) > bound else None)
