"""The driver from request to settlement, and killed at every moment on the way."""

import pytest

from custody.application import withdrawals
from custody.domain.account import Halt
from custody.domain.identifiers import WithdrawalId
from custody.domain.withdrawal_states import WithdrawalState
from custody.workers import withdrawal_driver
from custody.workers.chain_health import SILENCE_SECONDS_MAX
from signers.statements.amounts import Asset, Sats
from signers.statements.refusals import Tag
from tests.factories import BTC, ETH
from tests.unit.custody.workers.payout import (
    MOMENTS_MAX,
    assert_paid_once,
    funded,
    journey,
    paid_out,
    planned,
    stands_at_the_account,
)
from tests.unit.custody.workers.stage import Kill, Killed


@pytest.mark.parametrize("asset", Asset)
async def test_a_withdrawal_is_planned_announced_signed_sent_and_settled(asset: Asset) -> None:
    stage = await funded(asset)
    await journey(stage, asset)
    assert_paid_once(stage, asset)


@pytest.mark.parametrize("asset", Asset)
async def test_nothing_leaves_on_a_chain_that_nobody_has_seen_for_a_while(asset: Asset) -> None:
    stage = await funded(asset)
    stage.be_silent(SILENCE_SECONDS_MAX + 1)
    await stage.drive()
    assert stage.state(asset) is WithdrawalState.REQUESTED
    await stage.watch()
    await stage.drive()
    assert stage.state(asset) is WithdrawalState.AWAITING_SIGNATURES


@pytest.mark.parametrize("asset", Asset)
async def test_killed_before_and_after_every_call_it_pays_exactly_once(asset: Asset) -> None:
    """A new process over the same store goes on, whatever the old one had and had not heard back."""
    for moment in range(MOMENTS_MAX):
        stage = await funded(asset)
        kill = Kill(at=moment)
        stage.start(kill)
        try:
            await journey(stage, asset)
        except Killed:
            stage.start()
            await journey(stage, asset)
        assert_paid_once(stage, asset)
        assert sum(len(signer.signed) for signer in stage.signers.each.values()) <= 3
        assert {len(signer.announced) for signer in stage.signers.each.values()} == {1}
        if kill.passed <= moment:
            assert moment > 60, "the journey has more calls than that"
            return
    pytest.fail(f"more than {MOMENTS_MAX} moments")


@pytest.mark.parametrize("first", [5, 23, 40, 57])
async def test_killed_again_and_again_it_pays_exactly_once(first: int) -> None:
    stage = await funded(Asset.BTC)
    for _ in range(60):
        stage.start(Kill(at=first))
        try:
            await journey(stage, Asset.BTC)
        except Killed:
            first += 1
            continue
        break
    stage.start()
    await journey(stage, Asset.BTC)
    assert_paid_once(stage, Asset.BTC)


async def test_the_attempt_is_on_record_before_any_signer_is_asked() -> None:
    stage = await funded(Asset.BTC)
    seen = []
    ask = stage.signers.sign_bitcoin

    async def watched(*arguments: object, **named: object) -> object:
        seen.append(stage.present(Asset.BTC).attempts)
        return await ask(*arguments, **named)  # type: ignore[arg-type] # handed through

    stage.signers.sign_bitcoin = watched  # type: ignore[assignment, method-assign] # a spy
    await journey(stage, Asset.BTC)
    assert seen
    assert all(len(attempts) == 1 for attempts in seen)


async def test_two_signers_are_enough_for_bitcoin() -> None:
    stage = await funded(Asset.BTC)
    await stage.watch()
    await stage.drive()
    stage.custody.agree(stage.present(Asset.BTC))
    await stage.drive()
    first = stage.world.signers[0].signer
    stage.signers.each[first].refuses = Tag.STALE_TIP
    await journey(stage, Asset.BTC)
    assert_paid_once(stage, Asset.BTC)
    assert not stage.signers.each[first].signed


async def test_a_signer_that_signs_rubbish_does_not_stop_the_other_two() -> None:
    stage = await funded(Asset.BTC)
    stage.signers.each[stage.world.signers[0].signer].corrupts = True
    await journey(stage, Asset.BTC)
    for _ in range(4):
        stage.pass_time(300)
        await stage.drive()
    await stage.settle(Asset.BTC)
    assert_paid_once(stage, Asset.BTC)


async def test_two_signers_that_sign_rubbish_send_nothing() -> None:
    stage = await funded(Asset.BTC)
    for party in stage.world.signers[:2]:
        stage.signers.each[party.signer].corrupts = True
    await journey(stage, Asset.BTC)
    for _ in range(6):
        stage.pass_time(300)
        await stage.drive()
    assert stage.state(Asset.BTC) is WithdrawalState.SIGNING
    assert not stage.bitcoin.sent


async def test_a_signed_refusal_is_written_down_and_asked_again_later() -> None:
    stage = await funded(Asset.BTC)
    await stage.watch()
    await stage.drive()
    stage.custody.agree(stage.present(Asset.BTC))
    refusing = stage.world.signers[1].signer
    stage.signers.refuse(refusing, Tag.ALLOWLIST_COOLING)
    await stage.drive()
    withdrawal = stage.present(Asset.BTC)
    assert withdrawal.state is WithdrawalState.ANNOUNCING
    assert [(each.signer, each.tags) for each in withdrawal.refusals] == [
        (refusing, (Tag.ALLOWLIST_COOLING,))
    ]
    assert len(withdrawal.announcements) == 2
    stage.signers.each[refusing].refuses = None
    await stage.drive()
    assert stage.state(Asset.BTC) is WithdrawalState.ANNOUNCING, "its pause is not over"
    stage.pass_time(10)
    await stage.drive()
    assert stage.state(Asset.BTC) is WithdrawalState.TIMELOCKED


async def test_signers_that_announced_what_lapsed_still_announce_the_next_one() -> None:
    """They hold the account to that anchor until it is spent; a larger coin has come meanwhile."""
    stage = await funded(Asset.BTC)
    stage.custody.agree(await planned(stage))
    late = stage.world.signers[1].signer
    stage.signers.each[late].refuses = Tag.STALE_TIP
    await stage.drive()
    lapsed = stage.present(Asset.BTC)
    assert len(lapsed.announcements) == 2
    stage.pass_time(stage.world.policy.intent_lifetime_max_seconds)
    stage.signers.each[late].refuses = None
    await stage.drive()
    stage.custody.run(lambda uow: withdrawals.expire_due(uow, now=stage.clock()))
    assert stage.state(Asset.BTC) is WithdrawalState.EXPIRED
    stage.bitcoin.pay(stage.world.account.bitcoin.script_pubkey.raw, 2 * BTC)
    stage.bitcoin.mine(6)
    await stage.watch()
    stage.custody.publish_prices()
    again = stage.custody.request(Sats(BTC // 2), Sats(50_000), withdrawal=WithdrawalId("again"))
    await stage.drive()
    stage.custody.agree(stage.custody.present(again))
    await stage.drive()
    announced = stage.custody.present(again)
    assert announced.state is WithdrawalState.TIMELOCKED
    assert announced.anchor == lapsed.anchor


async def test_nothing_is_attempted_before_the_timelock_ends() -> None:
    stage = await funded(Asset.BTC)
    await stage.watch()
    await stage.drive()
    stage.custody.agree(stage.present(Asset.BTC))
    await stage.drive()
    stage.pass_time(599)
    await stage.drive()
    assert stage.state(Asset.BTC) is WithdrawalState.TIMELOCKED
    stage.pass_time(1)
    await stage.drive()
    assert stage.state(Asset.BTC) is WithdrawalState.BROADCAST


async def test_nothing_moves_while_the_nodes_disagree() -> None:
    stage = await funded(Asset.BTC)
    stage.health.disagree(Asset.BTC, "two tips")
    await stage.drive()
    assert stage.state(Asset.BTC) is WithdrawalState.REQUESTED


async def test_nothing_moves_before_the_watcher_has_looked() -> None:
    stage = await funded(Asset.BTC)
    stage.start()
    await stage.drive()
    assert stage.state(Asset.BTC) is WithdrawalState.REQUESTED


async def test_nothing_leaves_a_halted_account() -> None:
    stage = await funded(Asset.BTC)
    stage.custody.halt(Halt.RECONCILIATION)
    await stage.watch()
    await stage.drive()
    assert stage.state(Asset.BTC) is WithdrawalState.REQUESTED


async def test_a_payout_that_a_reorganisation_removed_is_sent_again_and_paid_once() -> None:
    stage = await funded(Asset.BTC)
    await journey(stage, Asset.BTC)
    stage.bitcoin.reorg(6, drop=True)
    await stage.watch()
    assert stage.state(Asset.BTC) is WithdrawalState.BROADCAST
    assert paid_out(stage, Asset.BTC) == []
    stage.pass_time(withdrawal_driver.REBROADCAST_SECONDS)
    await stage.drive()
    await stage.settle(Asset.BTC)
    assert_paid_once(stage, Asset.BTC)


async def test_an_ethereum_payout_that_fails_costs_its_fee_and_pays_nothing() -> None:
    stage = await funded(Asset.ETH)
    stage.ethereum.failing = True
    await journey(stage, Asset.ETH)
    books = stage.custody.balances(Asset.ETH)
    assert stage.state(Asset.ETH) is WithdrawalState.SETTLED
    assert paid_out(stage, Asset.ETH) == []
    assert books.available == 2 * ETH - books.network_fees == stands_at_the_account(stage, Asset.ETH)
