"""Fees that have become too low: another attempt on the same anchor, or waiting."""

from dataclasses import replace

import pytest

from custody.application.ports.chains import FeeRate
from custody.domain.account import Halt
from custody.domain.withdrawal_states import WithdrawalState
from custody.workers import withdrawal_driver
from signers.statements.amounts import Asset
from signers.statements.refusals import Tag
from tests.unit.custody.workers.payout import MOMENTS_MAX, assert_paid_once, funded
from tests.unit.custody.workers.stage import Kill, Killed, Stage


async def until(stage: Stage, asset: Asset, state: WithdrawalState) -> None:
    """From funded to this state; with SIGNED, nodes refuse what signers signed."""
    await stage.watch()
    await stage.drive()
    stage.custody.agree(stage.present(asset))
    await stage.drive()
    stage.pass_time(700)
    if state is WithdrawalState.SIGNED:
        while stage.state(asset) is not state:
            await stage.driver.tick()
    else:
        await stage.drive()
    assert stage.state(asset) is state


def raise_fees(stage: Stage, times: int) -> None:
    """What nodes estimate and ask for at least; what offers less is forgotten."""
    stage.bitcoin.rate = stage.bitcoin.minimum = FeeRate(2000 * times)
    stage.bitcoin.mempool.clear()
    stage.ethereum.quote = replace(stage.ethereum.quote, base_fee_per_gas_wei=10**9 * times)
    stage.ethereum.mempool.clear()


def assert_bumped(stage: Stage, asset: Asset) -> None:
    withdrawal = stage.present(asset)
    assert [attempt.number for attempt in withdrawal.attempts] == [1, 2]
    assert withdrawal.attempts[1].fee.units > withdrawal.attempts[0].fee.units
    assert sum(attempt.fee.units for attempt in withdrawal.attempts) <= withdrawal.fee_cap.units
    assert all(attempt.inputs[:1] == withdrawal.coins[:1] for attempt in withdrawal.attempts), "one anchor"


async def test_what_waits_for_long_is_attempted_again_at_a_higher_fee_and_paid_once() -> None:
    stage = await funded(Asset.BTC)
    await until(stage, Asset.BTC, WithdrawalState.BROADCAST)
    stage.bitcoin.rate = FeeRate(40_000)
    stage.pass_time(withdrawal_driver.BUMP_AFTER_SECONDS)
    await stage.drive()
    assert_bumped(stage, Asset.BTC)
    await stage.settle(Asset.BTC)
    assert_paid_once(stage, Asset.BTC)


@pytest.mark.slow
async def test_killed_before_and_after_every_call_of_a_fee_bump_it_pays_exactly_once() -> None:
    for moment in range(MOMENTS_MAX):
        stage = await funded(Asset.BTC)
        await stage.watch()
        await stage.drive()
        stage.custody.agree(stage.present(Asset.BTC))
        await stage.drive()
        stage.pass_time(700)
        await stage.drive()
        stage.bitcoin.rate = FeeRate(40_000)
        stage.bitcoin.mempool.clear()
        stage.pass_time(withdrawal_driver.BUMP_AFTER_SECONDS)
        kill = Kill(at=moment)
        stage.start(kill)
        try:
            await stage.watch()
            await stage.drive()
        except Killed:
            stage.start()
            await stage.watch()
            await stage.drive()
        stage.start()
        withdrawal = stage.present(Asset.BTC)
        assert [attempt.number for attempt in withdrawal.attempts] == [1, 2]
        assert sum(attempt.fee.units for attempt in withdrawal.attempts) <= withdrawal.fee_cap.units
        await stage.settle(Asset.BTC)
        assert_paid_once(stage, Asset.BTC)
        if kill.passed <= moment:
            assert moment > 30, "a bump has more calls than that"
            return
    pytest.fail(f"more than {MOMENTS_MAX} moments")


@pytest.mark.parametrize("asset", Asset)
async def test_what_waits_for_long_at_what_nodes_still_estimate_is_left_alone(asset: Asset) -> None:
    """A replacement would cost more than its predecessor, and be no better."""
    stage = await funded(asset)
    await until(stage, asset, WithdrawalState.BROADCAST)
    stage.pass_time(withdrawal_driver.BUMP_AFTER_SECONDS)
    await stage.drive()
    assert len(stage.present(asset).attempts) == 1


@pytest.mark.parametrize("state", [WithdrawalState.SIGNED, WithdrawalState.BROADCAST])
@pytest.mark.parametrize("asset", Asset)
async def test_what_nodes_refuse_for_its_fee_is_attempted_again_and_paid_once(
    asset: Asset, state: WithdrawalState
) -> None:
    stage = await funded(asset)
    await until(stage, asset, state)
    raise_fees(stage, 3)
    stage.pass_time(withdrawal_driver.REBROADCAST_SECONDS)
    await stage.drive()
    assert_bumped(stage, asset)
    await stage.settle(asset)
    assert_paid_once(stage, asset)


async def test_a_slightly_higher_minimum_is_reason_enough() -> None:
    """A quarter more is what a bump must offer to be worth it, unless nodes take nothing less."""
    stage = await funded(Asset.BTC)
    stage.bitcoin.rate = FeeRate(20_000)
    await until(stage, Asset.BTC, WithdrawalState.BROADCAST)
    stage.bitcoin.mempool.clear()
    stage.bitcoin.rate = stage.bitcoin.minimum = FeeRate(22_000)
    stage.pass_time(withdrawal_driver.REBROADCAST_SECONDS)
    await stage.drive()
    assert_bumped(stage, Asset.BTC)
    await stage.settle(Asset.BTC)
    assert_paid_once(stage, Asset.BTC)


async def test_beyond_the_cap_it_waits_for_lower_fees() -> None:
    stage = await funded(Asset.BTC)
    stage.bitcoin.rate = FeeRate(300_000)
    await until(stage, Asset.BTC, WithdrawalState.BROADCAST)
    assert stage.present(Asset.BTC).attempts[0].fee == stage.present(Asset.BTC).fee_cap
    raise_fees(stage, 1000)
    for _ in range(5):
        stage.pass_time(withdrawal_driver.REBROADCAST_SECONDS)
        await stage.drive()
    assert len(stage.present(Asset.BTC).attempts) == 1
    raise_fees(stage, 1)
    stage.pass_time(withdrawal_driver.REBROADCAST_SECONDS)
    await stage.drive()
    await stage.settle(Asset.BTC)
    assert_paid_once(stage, Asset.BTC)


async def bumping(stage: Stage) -> None:
    """The first attempt waits, the second is on record, and no signer signs it."""
    await until(stage, Asset.BTC, WithdrawalState.BROADCAST)
    stage.bitcoin.rate = FeeRate(40_000)
    for signer in stage.signers.each.values():
        signer.refuses = Tag.STALE_TIP
    stage.pass_time(withdrawal_driver.BUMP_AFTER_SECONDS)
    await stage.drive()
    assert stage.state(Asset.BTC) is WithdrawalState.SIGNING
    assert [attempt.raw is None for attempt in stage.present(Asset.BTC).attempts] == [False, True]


async def test_while_signers_do_not_answer_nodes_are_reminded_of_the_attempt_before() -> None:
    stage = await funded(Asset.BTC)
    await bumping(stage)
    stage.bitcoin.mempool.clear()
    stage.pass_time(withdrawal_driver.REBROADCAST_SECONDS)
    await stage.drive()
    await stage.settle(Asset.BTC)
    assert_paid_once(stage, Asset.BTC)


async def test_an_attempt_that_a_confirmation_overtook_goes_on_after_a_reorganisation() -> None:
    stage = await funded(Asset.BTC)
    await bumping(stage)
    stage.bitcoin.mine()
    await stage.watch()
    assert stage.state(Asset.BTC) is WithdrawalState.CONFIRMING
    stage.bitcoin.reorg(1, drop=True)
    await stage.watch()
    for signer in stage.signers.each.values():
        signer.refuses = None
    stage.pass_time(withdrawal_driver.BUMP_AFTER_SECONDS)
    await stage.drive()
    assert_bumped(stage, Asset.BTC)
    await stage.settle(Asset.BTC)
    assert_paid_once(stage, Asset.BTC)


async def test_a_halted_account_sends_again_what_nodes_had_and_attempts_nothing_more() -> None:
    stage = await funded(Asset.BTC)
    await until(stage, Asset.BTC, WithdrawalState.BROADCAST)
    stage.custody.halt(Halt.RECONCILIATION)
    stage.bitcoin.mempool.clear()
    stage.bitcoin.rate = FeeRate(40_000)
    stage.pass_time(withdrawal_driver.BUMP_AFTER_SECONDS)
    await stage.drive()
    assert len(stage.present(Asset.BTC).attempts) == len(stage.bitcoin.mempool) == 1


async def test_what_no_node_ever_took_does_not_leave_a_halted_account() -> None:
    stage = await funded(Asset.BTC)
    await until(stage, Asset.BTC, WithdrawalState.SIGNED)
    raise_fees(stage, 3)
    await stage.driver.tick()
    assert stage.state(Asset.BTC) is WithdrawalState.SIGNING
    stage.custody.halt(Halt.RECONCILIATION)
    raise_fees(stage, 1)
    stage.pass_time(withdrawal_driver.BUMP_AFTER_SECONDS)
    await stage.drive()
    assert not stage.bitcoin.sent


async def test_a_halted_account_sends_again_what_a_reorganisation_took_from_its_block() -> None:
    """Also if the process had died before it wrote down that nodes had it."""
    stage = await funded(Asset.BTC)
    await until(stage, Asset.BTC, WithdrawalState.SIGNED)
    payout = stage.present(Asset.BTC).payout
    assert payout is not None
    assert payout.raw is not None
    await stage.bitcoin.broadcast(payout.raw)
    stage.bitcoin.mine()
    await stage.watch()
    stage.custody.halt(Halt.RECONCILIATION)
    stage.bitcoin.reorg(1, drop=True)
    await stage.watch()
    stage.pass_time(withdrawal_driver.REBROADCAST_SECONDS)
    await stage.drive()
    assert list(stage.bitcoin.mempool) == [payout.transaction_id]
