"""The least that moves money: one active account, funded and drawn on by commands of a line each."""

from collections.abc import Callable

from custody.application.access import existing_account
from custody.application.journal import change
from custody.application.ports.store import Snapshot, UnitOfWork
from custody.domain.account import AccountState, Onboarding, PledgeAccount
from custody.domain.ledger import Book, Cause, CauseKind, Movement
from signers.statements.amounts import Asset, Sats
from signers.statements.identifiers import AccountId, Seconds
from tests.factories import World, build_world

NOW = Seconds(1_800_000_000)
LIEN = Cause(CauseKind.LIEN, "lien-1")


def opened(
    world: World | None = None, *, name: str = "acct-client-one"
) -> Callable[[UnitOfWork], PledgeAccount]:
    """Adds an active account."""
    said = (world or build_world()).account
    account = PledgeAccount(
        account=AccountId(name),
        pledgor=said.pledgor,
        secured_party=said.secured_party,
        custodian=said.custodian,
        enforcement=said.enforcement,
        policy_digest=said.policy_digest,
        state=AccountState.ACTIVE,
        created_at=NOW,
        updated_at=NOW,
    )

    def command(uow: UnitOfWork) -> PledgeAccount:
        uow.add_account(account)
        uow.save_onboarding(Onboarding(account=account.account))
        return change(uow, account, Cause(CauseKind.ACCOUNT), now=NOW)

    return command


def moved(
    debit: Book, credit: Book, units: int, *, name: str = "acct-client-one"
) -> Callable[[UnitOfWork], PledgeAccount]:
    """Moves units from book to book."""

    def command(uow: UnitOfWork) -> PledgeAccount:
        account = existing_account(uow, AccountId(name))
        return change(uow, account, LIEN, now=NOW, movements=(Movement(debit, credit, Sats(units)),))

    return command


def funded(units: int) -> Callable[[UnitOfWork], PledgeAccount]:
    """Brings units in."""
    return moved(Book.EXTERNAL, Book.AVAILABLE, units)


def reserved(units: int) -> Callable[[UnitOfWork], PledgeAccount]:
    """Holds units."""
    return moved(Book.AVAILABLE, Book.RESERVED, units)


def available(snapshot: Snapshot) -> int:
    """What is free."""
    return snapshot.balances(AccountId("acct-client-one"), Asset.BTC).available
