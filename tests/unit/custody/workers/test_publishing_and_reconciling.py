"""Reports published when something changed and only then; ledgers and chains compared; what runs out."""

from dataclasses import replace
from typing import Any

import pytest

from custody.application import accounts, reports
from custody.application.ports.attestation import AttestationUnavailable
from custody.application.ports.chains import ChainDataInvalid
from custody.application.ports.store import SignedReport
from custody.domain.account import Halt
from custody.domain.lien import LienState
from custody.workers.chain_health import SILENCE_SECONDS_MAX
from custody.workers.expiry import Expiry
from custody.workers.reconciler import INTERVAL_SECONDS, Reconciler
from custody.workers.report_publisher import REPUBLISH_SECONDS, REVALUE_SECONDS, ReportPublisher
from signers.statements.amounts import Asset, Sats
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Ed25519Key, Seconds
from signers.statements.merkle import includes
from signers.statements.report import AssetPosition, Report, ReportBatch, ValueStatus
from tests.factories import BTC, ETH
from tests.unit.custody.adapters.blocks import transaction
from tests.unit.custody.workers.stage import Stage


class KeyInMemory:
    """An `Attestor` with the world's key; the test can take it away."""

    def __init__(self, stage: Stage) -> None:
        self.person = stage.world.attestation
        self.stage = stage
        self.sealed = False
        self.signed = 0

    @property
    def public_key(self) -> Ed25519Key:
        return self.person.public_key

    async def sign_batch(self, batch: ReportBatch) -> Envelope:
        if self.sealed:
            raise AttestationUnavailable("sealed")
        self.signed += 1
        return self.stage.world.sign(batch, self.person)


@pytest.fixture
async def stage() -> Stage:
    made = Stage()
    await made.fund()
    return made


@pytest.fixture
def attestor(stage: Stage) -> KeyInMemory:
    return KeyInMemory(stage)


@pytest.fixture
def publisher(stage: Stage, attestor: KeyInMemory) -> ReportPublisher:
    return ReportPublisher(store=stage.store, attestor=attestor, health=stage.health, clock=stage.clock)


def latest(stage: Stage) -> SignedReport:
    found = stage.custody.ask(lambda uow: uow.report(stage.custody.account_id))
    assert found is not None
    return found  # type: ignore[no-any-return] # the scenario's queries are untyped


def position(stage: Stage, asset: Asset) -> AssetPosition:
    report = Report.parse(latest(stage).report)
    return next(each for each in report.positions if each.asset is asset)


async def test_a_batch_is_signed_once_per_change(
    stage: Stage, publisher: ReportPublisher, attestor: KeyInMemory
) -> None:
    assert await publisher.tick()
    signed = latest(stage)
    batch = ReportBatch.read(signed.batch, network=stage.world.network)
    assert includes(root=batch.root, size=1, index=0, leaf=signed.report, path=signed.path)
    assert signed.batch.signed_by(attestor.public_key)
    assert not await publisher.tick()
    stage.pass_time(REVALUE_SECONDS)
    assert not await publisher.tick()
    assert attestor.signed == 1
    stage.bitcoin.pay(stage.world.account.bitcoin.script_pubkey.raw, BTC)
    stage.bitcoin.mine()
    await stage.watch()
    assert await publisher.tick()
    assert position(stage, Asset.BTC).pending == Sats(BTC)
    assert ReportBatch.read(latest(stage).batch, network=stage.world.network).previous == batch.digest


async def test_prices_that_grow_old_are_a_change(stage: Stage, publisher: ReportPublisher) -> None:
    await publisher.tick()
    assert position(stage, Asset.BTC).status is ValueStatus.OK
    stage.pass_time(120)
    assert await publisher.tick()
    assert position(stage, Asset.BTC).status is ValueStatus.STALE
    assert position(stage, Asset.BTC).lending_value == "0"


async def test_a_quiet_account_is_reported_again_after_a_while(
    stage: Stage, publisher: ReportPublisher
) -> None:
    await publisher.tick()
    stage.pass_time(120)
    await publisher.tick()
    stage.pass_time(REPUBLISH_SECONDS)
    assert await publisher.tick()


async def test_where_nodes_disagree_the_value_is_disputed_and_lends_nothing(
    stage: Stage, publisher: ReportPublisher
) -> None:
    await publisher.tick()
    assert position(stage, Asset.ETH).lending_value != "0"
    stage.health.disagree(Asset.ETH, "two tips")
    assert await publisher.tick()
    disputed = position(stage, Asset.ETH)
    assert (disputed.status, disputed.lending_value) == (ValueStatus.DISPUTED, reports.NOTHING)
    assert position(stage, Asset.BTC).status is ValueStatus.OK


async def test_where_nodes_are_silent_the_value_is_disputed_and_lends_nothing(
    stage: Stage, publisher: ReportPublisher
) -> None:
    """Fresh prices make an old view of a chain no fresher."""
    await publisher.tick()
    stage.be_silent(SILENCE_SECONDS_MAX + 1)
    await stage.ethereum_watcher.tick()
    stage.custody.publish_prices()
    assert await publisher.tick()
    unseen = position(stage, Asset.BTC)
    assert (unseen.status, unseen.lending_value) == (ValueStatus.DISPUTED, reports.NOTHING)
    assert position(stage, Asset.ETH).status is ValueStatus.OK
    await stage.bitcoin_watcher.tick()
    assert await publisher.tick()
    assert position(stage, Asset.BTC).status is ValueStatus.OK


async def test_a_sealed_vault_publishes_nothing_and_the_change_is_published_later(
    stage: Stage, publisher: ReportPublisher, attestor: KeyInMemory
) -> None:
    attestor.sealed = True
    with pytest.raises(AttestationUnavailable):
        await publisher.tick()
    assert stage.custody.ask(lambda uow: uow.report(stage.custody.account_id)) is None
    attestor.sealed = False
    assert await publisher.tick()


async def test_a_new_process_continues_the_chain_of_batches(
    stage: Stage, publisher: ReportPublisher, attestor: KeyInMemory
) -> None:
    await publisher.tick()
    first = latest(stage).batch.digest
    again = ReportPublisher(store=stage.store, attestor=attestor, health=stage.health, clock=stage.clock)
    assert await again.tick()
    assert ReportBatch.read(latest(stage).batch, network=stage.world.network).previous == first


# Reconciliation.


@pytest.fixture
def reconciler(stage: Stage) -> Reconciler:
    chains: dict[str, Any] = {"bitcoin": stage.bitcoin, "ethereum": stage.ethereum}
    return Reconciler(store=stage.store, clock=stage.clock, **chains)


async def test_ledger_and_chain_agree(stage: Stage, reconciler: Reconciler) -> None:
    assert not await reconciler.tick()
    assert not stage.custody.account.halts


async def held_where_it_was_seen(stage: Stage, found: AssetPosition) -> int:
    """What the chain says stands at the account's address in the block that a report names."""
    if found.asset is Asset.BTC:
        unspent = await stage.bitcoin.unspent({stage.world.account.bitcoin.script_pubkey})
        assert unspent.block.block_hash == found.seen_at.block_hash
        return sum(output.amount.units for output in unspent.outputs)
    header = await stage.ethereum.block_at(found.seen_at.height)
    assert header.block_hash == found.seen_at.block_hash
    state = await stage.ethereum.account_at(stage.world.account.ethereum.address, header)
    return state.balance.units


@pytest.mark.parametrize("asset", Asset)
async def test_an_auditor_finds_what_the_report_says_at_every_step_of_a_withdrawal(
    stage: Stage, publisher: ReportPublisher, asset: Asset
) -> None:
    """BTC at the tip: confirmed + pending. ETH at the finalised block: confirmed + leaving."""
    chain = stage.bitcoin if asset is Asset.BTC else stage.ethereum
    stage.request(asset)
    await stage.drive()
    stage.custody.agree(stage.present(asset))
    await stage.drive()
    stage.pass_time(700)
    await stage.drive()
    seen: set[bool] = set()
    while stage.state(asset) != "settled":
        chain.mine()
        await stage.watch()
        await publisher.tick()
        found = position(stage, asset)
        elsewhere = found.pending if asset is Asset.BTC else found.leaving
        assert found.confirmed.units + elsewhere.units == await held_where_it_was_seen(stage, found)
        seen.add(bool(found.leaving))
    assert seen == {True, False}


@pytest.mark.parametrize("asset", Asset)
async def test_they_agree_at_every_step_of_a_withdrawal(stage: Stage, asset: Asset) -> None:
    chains: dict[str, Any] = {"bitcoin": stage.bitcoin, "ethereum": stage.ethereum}
    reconciler = Reconciler(store=stage.store, clock=stage.clock, interval_seconds=0, **chains)
    chain = stage.bitcoin if asset is Asset.BTC else stage.ethereum
    stage.request(asset)
    await stage.drive()
    stage.custody.agree(stage.present(asset))
    await stage.drive()
    stage.pass_time(700)
    await stage.drive()
    for _ in range(6):
        await reconciler.tick()
        assert not stage.custody.account.halts
        chain.mine()
        await stage.watch()
    assert stage.state(asset) == "settled"


async def test_a_coin_that_the_chain_does_not_have_halts(stage: Stage, reconciler: Reconciler) -> None:
    coin = stage.custody.ask(lambda uow: uow.coins(stage.custody.account_id))[0]
    stage.custody.run(lambda uow: uow.save_coin(replace(coin, amount=Sats(coin.amount.units - 1))))
    assert await reconciler.tick()
    assert Halt.RECONCILIATION in stage.custody.account.halts


async def test_a_balance_that_differs_halts(stage: Stage, reconciler: Reconciler) -> None:
    final = stage.ethereum.blocks[-1 - stage.ethereum.final_behind]
    final.balances[stage.world.account.ethereum.address] = (2 * ETH - 1, 0)
    assert await reconciler.tick()
    assert Halt.RECONCILIATION in stage.custody.account.halts


async def test_a_block_in_between_is_no_finding(stage: Stage, reconciler: Reconciler) -> None:
    stage.bitcoin.mine()
    with pytest.raises(ChainDataInvalid):
        await reconciler.tick()
    assert not stage.custody.account.halts
    await stage.watch()
    await reconciler.tick()
    assert not stage.custody.account.halts


async def test_it_is_done_once_per_interval(stage: Stage, reconciler: Reconciler) -> None:
    await reconciler.tick()
    stage.ethereum.blocks[-1 - stage.ethereum.final_behind].balances.clear()
    stage.pass_time(INTERVAL_SECONDS - 1)
    assert not await reconciler.tick()
    stage.pass_time(1)
    assert await reconciler.tick()


def lift(stage: Stage, halt: Halt) -> None:
    custody = stage.custody
    command = accounts.LiftHalt(
        request_id=custody.fresh(), account=custody.account_id, etag=custody.account.etag, halt=halt
    )
    custody.do(accounts.lift_halt, command, principal=custody.custodian)


async def test_an_account_whose_halt_was_lifted_opens_once_both_chains_were_compared(
    stage: Stage, reconciler: Reconciler
) -> None:
    await reconciler.tick()
    stage.custody.halt(Halt.UNKNOWN_SPEND)
    lift(stage, Halt.UNKNOWN_SPEND)
    stage.bitcoin.mine()  # the ledger is not at the tip: Bitcoin cannot be compared
    for _ in range(2):
        with pytest.raises(ChainDataInvalid):
            await reconciler.tick()
        assert stage.custody.account.halts == {Halt.AWAITING_RECONCILIATION}
    await stage.watch()
    assert not await reconciler.tick()
    assert not stage.custody.account.halts


async def test_a_second_lift_is_compared_anew(stage: Stage, reconciler: Reconciler) -> None:
    for _ in range(2):
        stage.custody.halt(Halt.UNKNOWN_SPEND)
        lift(stage, Halt.UNKNOWN_SPEND)
        await reconciler.tick()
        assert not stage.custody.account.halts
    coin = stage.custody.ask(lambda uow: uow.coins(stage.custody.account_id))[0]
    stage.custody.run(lambda uow: uow.save_coin(replace(coin, amount=Sats(coin.amount.units - 1))))
    stage.custody.halt(Halt.UNKNOWN_SPEND)
    lift(stage, Halt.UNKNOWN_SPEND)
    assert await reconciler.tick()
    assert stage.custody.account.halts == {Halt.RECONCILIATION}


@pytest.mark.parametrize("asset", Asset)
async def test_a_halt_whose_cause_still_holds_comes_back_by_itself(
    stage: Stage, reconciler: Reconciler, asset: Asset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Coins are gone, somebody lifts the halt all the same: the account never opens."""
    await reconciler.tick()
    if asset is Asset.BTC:
        (coin,) = stage.custody.ask(lambda uow: uow.coins(stage.custody.account_id))
        stage.bitcoin.put(transaction(spends=[coin.outpoint], outputs=[(b"\x6a", BTC)]))
        stage.bitcoin.mine()
    else:
        stage.ethereum.pay(stage.world.account.ethereum.address, -ETH)
        stage.ethereum.mine(stage.ethereum.final_behind + 1)
    await stage.watch()
    for cause in (Halt.UNKNOWN_SPEND, Halt.RECONCILIATION):
        assert stage.custody.account.halts == {cause}
        lift(stage, cause)
        assert await reconciler.tick()
        assert stage.custody.account.halts == {Halt.RECONCILIATION}
    monkeypatch.setattr(stage.bitcoin, "unspent", None)  # who has been compared is not scanned for again
    assert not await reconciler.tick()


# What runs out.


async def test_a_reservation_whose_time_has_come_is_freed(stage: Stage) -> None:
    expiry = Expiry(store=stage.store, clock=stage.clock)
    lien = stage.custody.reserve("lien-1", Sats(BTC // 4))
    await expiry.tick()
    assert stage.custody.balances(Asset.BTC).reserved == BTC // 4
    stage.custody.now = Seconds(lien.expires_at)
    await expiry.tick()
    ended = stage.custody.ask(lambda uow: uow.lien(stage.custody.account_id, lien.lien))
    assert ended.state is LienState.EXPIRED
    assert stage.custody.balances(Asset.BTC).available == BTC


async def test_an_intent_nobody_signed_gives_its_hold_back(stage: Stage) -> None:
    expiry = Expiry(store=stage.store, clock=stage.clock)
    stage.request(Asset.BTC)
    await stage.drive()
    stage.custody.now = stage.present(Asset.BTC).expires_at
    await expiry.tick()
    assert stage.state(Asset.BTC) == "expired"
    assert stage.custody.balances(Asset.BTC).available == BTC
