"""Reads: nobody sees another's, and pages miss and repeat nothing."""

from dataclasses import replace
from typing import Any

import pytest

from custody.application import reads
from custody.domain.errors import AccountNotFound
from custody.domain.ledger import recompute
from custody.domain.principal import Principal, Role
from signers.statements.amounts import Asset, Sats
from signers.statements.identifiers import AccountId, DestinationId, LienId
from tests.unit.custody.scenario import Custody, active


@pytest.fixture(scope="module")
def custody() -> Custody:
    custody = active()
    for index in range(7):
        custody.reserve(f"lien-{index}", Sats(10))
    custody.request(Sats(2000), Sats(100))
    return custody


SCOPED: dict[str, Any] = {
    "account": lambda c: (reads.account, (c.account_id,)),
    "destination": lambda c: (reads.destination, (c.account_id, DestinationId("client-wallet-btc"))),
    "destinations": lambda c: (reads.destinations, (c.account_id,)),
    "deposits": lambda c: (reads.deposits, (c.account_id,)),
    "lien": lambda c: (reads.lien, (c.account_id, LienId("lien-1"))),
    "liens": lambda c: (reads.liens, (c.account_id,)),
    "withdrawal": lambda c: (reads.withdrawal, (c.account_id, "w-1")),
    "withdrawals": lambda c: (reads.withdrawals, (c.account_id,)),
    "postings": lambda c: (reads.postings, (c.account_id,)),
}
LISTS = {"destinations", "deposits", "liens", "withdrawals", "postings"}


def read(custody: Custody, name: str, principal: Principal) -> Any:
    query, arguments = SCOPED[name](custody)
    paging = {"after": None, "limit": 10} if name in LISTS else {}
    return custody.ask(query, *arguments, principal=principal, **paging)


@pytest.mark.parametrize("name", SCOPED)
def test_a_stranger_learns_nothing(custody: Custody, name: str) -> None:
    with pytest.raises(AccountNotFound) as ours:
        read(custody, name, custody.stranger)
    query, arguments = SCOPED[name](custody)
    paging = {"after": None, "limit": 10} if name in LISTS else {}
    with pytest.raises(AccountNotFound) as nobodys:
        custody.ask(query, AccountId("acct-none"), *arguments[1:], principal=custody.stranger, **paging)
    assert ours.value.message.replace(custody.account_id, "X") == nobodys.value.message.replace(
        "acct-none", "X"
    )


@pytest.mark.parametrize("name", SCOPED)
@pytest.mark.parametrize("who", ["pledgor", "engine", "custodian"])
def test_the_parties_see_their_account(custody: Custody, name: str, who: str) -> None:
    assert read(custody, name, getattr(custody, who)) is not None


@pytest.mark.parametrize(("who", "count"), [("pledgor", 1), ("engine", 1), ("custodian", 1), ("stranger", 0)])
def test_a_listing_holds_the_callers_accounts(custody: Custody, who: str, count: int) -> None:
    page = custody.ask(reads.accounts, principal=getattr(custody, who), after=None, limit=10)
    assert len(page.items) == count


def test_a_principal_of_no_entity_sees_nothing(custody: Custody) -> None:
    nobody = Principal(name="x.example", entity=None, roles=frozenset({Role.SECURED_PARTY}))
    assert custody.ask(reads.accounts, principal=nobody, after=None, limit=10).items == ()


def test_an_approver_and_an_auditor_see_every_account(custody: Custody) -> None:
    for principal in (
        custody.approver(0),
        replace(custody.stranger, roles=frozenset({Role.AUDITOR})),
    ):
        assert custody.ask(reads.accounts, principal=principal, after=None, limit=10).items


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
@pytest.mark.parametrize("name", ["liens", "postings"])
def test_pages_miss_and_repeat_nothing(custody: Custody, name: str, limit: int) -> None:
    query: Any = getattr(reads, name)
    named = {"principal": custody.engine}
    whole = custody.ask(query, custody.account_id, after=None, limit=500, **named)
    assert whole.next_after is None
    found: list[Any] = []
    after = None
    for _ in range(len(whole.items) + 1):
        page = custody.ask(query, custody.account_id, after=after, limit=limit, **named)
        found += page.items
        after = page.next_after
        if after is None:
            break
    assert tuple(found) == whole.items


@pytest.mark.parametrize("asset", Asset)
def test_the_statement_adds_up_to_the_balances(custody: Custody, asset: Asset) -> None:
    page = custody.ask(reads.postings, custody.account_id, principal=custody.custodian, after=None, limit=500)
    moved = [posting for posting in page.items if posting.amount.asset is asset]
    assert recompute(asset, moved) == custody.balances(asset)
