"""Documents hold what they were given, whatever a record holds."""

import json
from typing import Any

import pytest

from custody.adapters.sqlite import documents
from custody.application import reads
from custody.domain.account import Dossier, Onboarding, PledgeAccount
from custody.domain.deposit import Outpoint
from custody.domain.destination import AllowedDestination
from custody.domain.identifiers import WithdrawalId
from custody.domain.lien import Lien
from custody.domain.price import PublishedPrice
from custody.domain.withdrawal import Withdrawal
from signers.statements.amounts import Sats, Wei
from signers.statements.refusals import Tag
from tests.unit.custody.scenario import Custody, active, txid


@pytest.fixture(scope="module")
def custody() -> Custody:
    """One of everything, each as full as it gets."""
    custody = active()
    custody.reserve("lien-1", Sats(1000))
    custody.to_broadcast(Sats(10**7), Sats(50_000), Sats(10_000), Outpoint(txid("funding"), 0))
    custody.mine(custody.payout(custody.present(_withdrawal(custody))))
    ether = custody.request(Wei(10**18), Wei(10**16), withdrawal=WithdrawalId("w-eth"))
    custody.refuse(custody.agree(custody.plan(ether)), 0, Tag.VELOCITY)
    return custody


def _withdrawal(custody: Custody) -> Any:
    return custody.ask(lambda uow: uow.withdrawal(custody.account_id, WithdrawalId("w-1")))


RECORDS: dict[str, tuple[type[Any], Any]] = {
    "account": (PledgeAccount, lambda c: c.account),
    "dossier": (Dossier, lambda c: c.ask(reads.account, c.account_id, principal=c.pledgor)),
    "onboarding": (Onboarding, lambda c: c.ask(lambda uow: uow.onboarding(c.account_id))),
    "destination": (
        AllowedDestination,
        lambda c: c.ask(reads.destinations, c.account_id, principal=c.pledgor, after=None, limit=2).items[0],
    ),
    "lien": (Lien, lambda c: c.ask(lambda uow: uow.liens(c.account_id, after=None, limit=1))[0]),
    "bitcoin withdrawal": (Withdrawal, _withdrawal),
    "ethereum withdrawal": (
        Withdrawal,
        lambda c: c.ask(lambda uow: uow.withdrawal(c.account_id, WithdrawalId("w-eth"))),
    ),
    "price": (PublishedPrice, lambda c: c.prices().prices[0]),
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_comes_back_as_it_was(custody: Custody, name: str) -> None:
    cls, find = RECORDS[name]
    record = find(custody)
    assert documents.load(cls, documents.dump(record)) == record


@pytest.mark.parametrize("name", sorted(set(RECORDS) - {"account", "onboarding"}))
def test_a_result_comes_back_as_it_was_answered(custody: Custody, name: str) -> None:
    record = RECORDS[name][1](custody)
    assert documents.load_result(documents.dump_result(record)) == record
    assert documents.load_result(documents.dump_result((record, record))) == (record, record)


def test_a_document_is_checked_when_it_is_read(custody: Custody) -> None:
    document = json.loads(documents.dump(custody.account))
    document["account"] = "NOT AN ID"
    with pytest.raises(ValueError, match="AccountId"):
        documents.load(PledgeAccount, json.dumps(document))


def test_what_no_use_case_returns_is_no_result() -> None:
    with pytest.raises(KeyError):
        documents.dump_result("text")
