"""Reports: the identity of their quantities, what they lend, and the batch that signs them."""

from dataclasses import replace
from typing import Any

import pytest

from custody.application import reports
from custody.application.ports.store import BatchHead
from custody.domain.errors import (
    FieldInvalid,
    StatementMismatch,
    StatementSignature,
    StatementStale,
)
from signers.statements.amounts import Asset, Sats
from signers.statements.identifiers import Digest, Seconds, Value
from signers.statements.merkle import includes
from signers.statements.report import AssetPosition, Report, ReportBatch, ValueStatus
from tests.factories import Person
from tests.unit.custody.scenario import Custody, active, unchanged

COIN = 10**8


@pytest.fixture
def custody() -> Custody:
    return active()


def collect(custody: Custody) -> Report:
    (report,) = custody.ask(reports.collect, now=custody.now)
    return report


def position(custody: Custody, asset: Asset = Asset.BTC) -> AssetPosition:
    return next(each for each in collect(custody).positions if each.asset is asset)


def test_the_quantities_add_up(custody: Custody) -> None:
    custody.reserve("lien-1", Sats(1000))
    custody.post("lien-1", Sats(400))
    custody.reserve("lien-2", Sats(50))
    custody.request(Sats(2000), Sats(100))
    custody.mine(custody.arrival("more", 7))
    found = position(custody)
    assert (found.reserved, found.posted, found.withdrawing) == (Sats(50), Sats(400), Sats(2100))
    assert found.pending == Sats(7)
    held = found.reserved.units + found.posted.units + found.withdrawing.units
    assert found.confirmed.units == held + found.free.units - found.shortfall.units == COIN


def test_a_bitcoin_lends_two_fifths_of_its_price(custody: Custody) -> None:
    found = position(custody)
    assert found.price is not None
    assert found.market_value == found.price
    assert found.lending_value.units == found.price.units * 2 // 5
    assert found.capital_value == Value("0")


def test_a_stale_price_is_shown_and_lends_nothing(custody: Custody) -> None:
    custody.now = Seconds(custody.now + 3600)
    found = position(custody)
    assert (found.status, found.lending_value) == (ValueStatus.STALE, Value("0"))
    assert found.market_value.units > 0


def test_a_shortfall_is_reported_as_such(custody: Custody) -> None:
    custody.reserve("lien-1", Sats(COIN))
    custody.reorg(6, [()] * 7)
    found, report = position(custody), collect(custody)
    assert (found.confirmed, found.shortfall, found.reserved) == (Sats(0), Sats(COIN), Sats(COIN))
    assert report.halted


def test_a_payout_in_a_block_is_no_collateral_and_a_reorganisation_brings_it_back(custody: Custody) -> None:
    amount, cap, fee = Sats(COIN // 2), Sats(50_000), Sats(10_000)
    coins = [coin.outpoint for coin in custody.ask(lambda uow: uow.coins(custody.account_id))]
    sent = custody.to_broadcast(amount, cap, fee, *coins)
    before = position(custody)
    assert (before.confirmed, before.withdrawing, before.leaving) == (Sats(COIN), amount + cap, Sats(0))

    custody.mine(custody.payout(sent))
    found = position(custody)
    left = amount + fee
    assert (found.confirmed, found.leaving) == (Sats(COIN) - left, left)
    assert (found.withdrawing, found.free) == (cap - fee, before.free)
    assert found.price is not None
    assert found.market_value.units == found.confirmed.units * found.price.units // COIN
    assert found.lending_value.units == found.market_value.units * 2 // 5

    custody.reorg(1, [(), ()])
    assert position(custody) == replace(before, seen_at=position(custody).seen_at)

    custody.mine(custody.payout(sent), count=custody.world.policy.terms_of(Asset.BTC).finality_depth)
    final = position(custody)
    assert (final.confirmed, final.leaving, final.withdrawing) == (Sats(COIN) - left, Sats(0), Sats(0))
    assert final.free == final.confirmed


def test_a_report_says_where_it_looked(custody: Custody) -> None:
    report = collect(custody)
    assert report.account_sequence == custody.account.sequence
    assert report.policy_digest == custody.world.policy.digest
    tip = custody.bitcoin.tip
    assert tip is not None
    assert position(custody).seen_at.block_hash == tip.block_hash


def test_before_a_chain_was_seen_nothing_is_reported() -> None:
    custody = Custody()
    custody.pin()
    assert custody.ask(reports.collect, now=custody.now) == ()


def command(custody: Custody, signer: Person | None = None, **changes: Any) -> reports.RecordBatch:
    """The next batch over the present reports; `changes` are of the batch statement."""
    head = custody.ask(lambda uow: uow.batch_head())
    found = custody.ask(reports.collect, now=custody.now)
    batch, leaves = reports.next_batch(found, head, policy=custody.world.policy, now=custody.now)
    envelope = custody.world.sign(replace(batch, **changes), signer or custody.world.attestation)
    return reports.RecordBatch(envelope=envelope, reports=leaves)


def record(custody: Custody, batch: reports.RecordBatch) -> BatchHead:
    return custody.do(reports.record_batch, batch)


def test_a_recorded_batch_proves_each_report(custody: Custody) -> None:
    batch = command(custody)
    assert record(custody, batch).sequence == 1
    found = custody.ask(lambda uow: uow.report(custody.account_id))
    assert found is not None
    signed = ReportBatch.parse(found.batch.payload)
    assert includes(
        root=signed.root,
        size=found.tree_size,
        index=found.leaf_index,
        leaf=found.report,
        path=found.path,
    )
    assert Report.parse(found.report) == collect(custody)


def test_batches_are_chained_and_change_no_account(custody: Custody) -> None:
    sequence = custody.account.sequence
    first = record(custody, command(custody))
    custody.now = Seconds(custody.now + 1)
    second = command(custody)
    assert ReportBatch.parse(second.envelope.payload).previous == first.digest
    assert record(custody, second).sequence == 2
    assert custody.account.sequence == sequence


def test_a_batch_twice_is_a_batch_once(custody: Custody) -> None:
    batch = command(custody)
    record(custody, batch)
    before = custody.dump()
    record(custody, batch)
    assert custody.dump() == before


def test_only_the_attestation_key_signs_batches(custody: Custody) -> None:
    batch = command(custody, custody.world.custodian)
    unchanged(custody, lambda: record(custody, batch), StatementSignature)


@pytest.mark.parametrize(
    "changes", [{"root": Digest("ab" * 32)}, {"size": 2}], ids=lambda changes: next(iter(changes))
)
def test_a_batch_over_other_reports(custody: Custody, changes: dict[str, Any]) -> None:
    batch = command(custody, **changes)
    unchanged(custody, lambda: record(custody, batch), StatementMismatch)


@pytest.mark.parametrize(
    "changes",
    [{"sequence": 2}, {"previous": Digest("ab" * 32)}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_batch_that_does_not_continue(custody: Custody, changes: dict[str, Any]) -> None:
    batch = command(custody, **changes)
    unchanged(custody, lambda: record(custody, batch), StatementStale)


def test_a_batch_without_reports(custody: Custody) -> None:
    batch = replace(command(custody), reports=())
    unchanged(custody, lambda: record(custody, batch), FieldInvalid)
