"""The driver from request to settlement, and killed at every moment on the way."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from custody.application import withdrawals
from custody.application.ports.chains import FeeRate
from custody.domain.account import Halt
from custody.domain.deposit import Outpoint
from custody.domain.identifiers import WithdrawalId
from custody.domain.withdrawal import Withdrawal
from custody.domain.withdrawal_states import WithdrawalState
from custody.workers import withdrawal_driver
from custody.workers.chain_health import SILENCE_SECONDS_MAX
from signers.statements.allowlist import BitcoinDestination, EthereumDestination
from signers.statements.amounts import Asset, Sats
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Digest, TxId
from signers.statements.receipt import Receipt
from signers.statements.refusals import Tag
from tests.factories import BTC, ETH
from tests.unit.custody.adapters.blocks import transaction
from tests.unit.custody.workers.stage import CONFIRMATIONS, Kill, Killed, Stage

MOMENTS_MAX = 400


async def planned(stage: Stage) -> Withdrawal:
    """The intent is fixed; nobody has signed it."""
    await stage.watch()
    await stage.drive()
    return stage.present(Asset.BTC)


async def journey(stage: Stage, asset: Asset) -> None:
    """Everything between a request and its settlement; each part may have happened already."""
    await stage.watch()
    await stage.drive()
    if stage.state(asset) is WithdrawalState.AWAITING_SIGNATURES:
        stage.custody.publish_prices()
        stage.custody.agree(stage.present(asset))
    await stage.drive()
    stage.pass_time(700)
    await stage.drive()
    await stage.settle(asset)


async def funded(asset: Asset) -> Stage:
    stage = Stage()
    await stage.fund()
    stage.request(asset)
    return stage


def paid_out(stage: Stage, asset: Asset) -> list[int]:
    """What arrived at the destination, payout by payout."""
    destination = stage.world.destination(asset)
    if isinstance(destination, BitcoinDestination):
        return stage.bitcoin.paid_to(destination.script_pubkey.raw)
    assert isinstance(destination, EthereumDestination)
    balance = stage.ethereum.balance(destination.address)
    return [balance] if balance else []


def stands_at_the_account(stage: Stage, asset: Asset) -> int:
    """By the chain."""
    if asset is Asset.ETH:
        return stage.ethereum.balance(stage.world.account.ethereum.address)
    return sum(
        coin.amount.units for coin in stage.custody.ask(lambda uow: uow.coins(stage.custody.account_id))
    )


def assert_paid_once(stage: Stage, asset: Asset) -> None:
    half, whole = (BTC // 2, BTC) if asset is Asset.BTC else (ETH // 2, 2 * ETH)
    withdrawal, books = stage.present(asset), stage.custody.balances(asset)
    assert withdrawal.state is WithdrawalState.SETTLED
    assert paid_out(stage, asset) == [half]
    assert books.withdrawing == books.pending == books.reorg_shortfall == 0
    assert books.network_fees > 0
    assert books.available == whole - half - books.network_fees == stands_at_the_account(stage, asset)
    assert not stage.custody.account.halts


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


# A signer whose receipts are none.


def unsigned(_: Stage, receipt: Envelope) -> Envelope:
    return Envelope(receipt.payload_type, receipt.payload)


def of_another_intent(stage: Stage, receipt: Envelope) -> Envelope:
    told = Receipt.read(receipt, network=stage.world.network)
    return stage.world.cosign(replace(told, intent_digest=Digest("ab" * 32)), stage.world.signers[0])


def malformed(_: Stage, receipt: Envelope) -> Envelope:
    return Envelope(receipt.payload_type, b"{}")


def anothers(stage: Stage, receipt: Envelope) -> Envelope:
    """The second signer's, as soon as that has announced."""
    announced = stage.signers.each[stage.world.signers[1].signer].announced
    return next(iter(announced.values()), unsigned(stage, receipt))


@pytest.mark.parametrize("asset", Asset)
@pytest.mark.parametrize("misstate", [unsigned, of_another_intent, malformed, anothers])
async def test_a_signer_that_announces_with_no_receipt_holds_up_no_other(
    asset: Asset, misstate: Callable[[Stage, Envelope], Envelope]
) -> None:
    stage = await funded(asset)
    await stage.watch()
    await stage.drive()
    stage.custody.agree(stage.present(asset))
    first, *others = (party.signer for party in stage.world.signers)
    stage.signers.each[first].misstates = lambda receipt: misstate(stage, receipt)
    await stage.drive()
    for _ in range(3):
        stage.pass_time(10)
        await stage.drive()
    assert [answer.signer for answer in stage.present(asset).announcements] == others
    stage.signers.each[first].misstates = None
    stage.pass_time(100)
    await stage.drive()
    assert stage.state(asset) is WithdrawalState.TIMELOCKED


async def test_the_second_signer_is_brought_the_first_one_s_half() -> None:
    """With it, it has the consensus rules judge the whole before its own half leaves (trust: rule 5)."""
    stage = await funded(Asset.BTC)
    await journey(stage, Asset.BTC)
    first, second, third = (stage.signers.each[party.signer].shown for party in stage.world.signers)
    assert (first, second, third) == ([()], [(stage.world.signers[0].signer,)], [])


@pytest.mark.parametrize("misstate", [unsigned, of_another_intent, malformed, anothers])
async def test_a_signer_that_signs_with_no_receipt_does_not_stop_the_other_two(
    misstate: Callable[[Stage, Envelope], Envelope],
) -> None:
    stage = await funded(Asset.BTC)
    await announced(stage, Asset.BTC)
    first, *others = (party.signer for party in stage.world.signers)
    stage.signers.each[first].misstates = lambda receipt: misstate(stage, receipt)
    stage.pass_time(700)
    await stage.drive()
    assert [partial.signer for partial in stage.present(Asset.BTC).attempts[0].partials] == others
    await stage.settle(Asset.BTC)
    assert_paid_once(stage, Asset.BTC)


@pytest.mark.parametrize("misstate", [unsigned, of_another_intent, malformed])
async def test_a_holder_that_signs_with_no_receipt_sends_nothing_until_it_gives_one(
    misstate: Callable[[Stage, Envelope], Envelope],
) -> None:
    stage = await funded(Asset.ETH)
    await announced(stage, Asset.ETH)
    holder = stage.world.account.ethereum.holder
    stage.signers.each[holder].misstates = lambda receipt: misstate(stage, receipt)
    stage.pass_time(700)
    await stage.drive()
    assert stage.state(Asset.ETH) is WithdrawalState.SIGNING
    stage.signers.each[holder].misstates = None
    stage.pass_time(10)
    await stage.drive()
    await stage.settle(Asset.ETH)
    assert_paid_once(stage, Asset.ETH)


async def announced(stage: Stage, asset: Asset) -> None:
    """From funded to the running timelock."""
    await stage.watch()
    await stage.drive()
    stage.custody.agree(stage.present(asset))
    await stage.drive()
    assert stage.state(asset) is WithdrawalState.TIMELOCKED


# Coins in long transactions.


LONG = 900_000
"""Six such transactions fit into a request to a signer, seven do not."""
LONG_COIN, SHORT_COIN = BTC * 12 // 100, BTC // 10


async def funded_at_length(stage: Stage) -> None:
    """One coin in a short transaction, and seven larger ones in long ones."""
    await stage.watch()
    script = stage.world.account.bitcoin.script_pubkey.raw
    stage.bitcoin.pay(script, SHORT_COIN)
    for number in range(7):
        source = [Outpoint(TxId(f"{number + 1:064x}"), 0)]
        filler = (b"\x6a" + bytes(LONG), 0)
        stage.bitcoin.put(transaction(spends=source, outputs=[(script, LONG_COIN), filler]))
        stage.bitcoin.mine()
    stage.bitcoin.mine(CONFIRMATIONS)
    stage.ethereum.mine(stage.ethereum.final_behind + 1)
    await stage.watch()
    stage.custody.publish_prices()


async def test_coins_that_signers_could_not_be_shown_together_are_not_chosen_together() -> None:
    stage = Stage()
    await funded_at_length(stage)
    asked = stage.custody.request(Sats(BTC * 8 // 10), Sats(50_000), withdrawal=WithdrawalId("out-btc"))
    await stage.drive()
    chosen = [stage.custody.ask(lambda uow, at=at: uow.coin(at)) for at in stage.custody.present(asked).coins]
    assert sorted(coin.amount.units for coin in chosen) == [SHORT_COIN, *[LONG_COIN] * 6]
    stage.custody.agree(stage.present(Asset.BTC))
    await stage.drive()
    stage.pass_time(700)
    await stage.drive()
    assert stage.state(Asset.BTC) is WithdrawalState.BROADCAST


async def test_what_no_coins_that_signers_can_be_shown_cover_is_not_planned() -> None:
    """Nor ever attempted: it can be cancelled, and it lapses."""
    stage = Stage()
    await funded_at_length(stage)
    stage.custody.request(Sats(BTC * 9 // 10), Sats(50_000), withdrawal=WithdrawalId("out-btc"))
    await stage.drive()
    assert stage.state(Asset.BTC) is WithdrawalState.REQUESTED
    stage.pass_time(stage.present(Asset.BTC).expires_at - stage.custody.now)
    stage.custody.run(lambda uow: withdrawals.expire_due(uow, now=stage.clock()))
    assert stage.state(Asset.BTC) is WithdrawalState.EXPIRED
    assert stage.custody.balances(Asset.BTC).withdrawing == 0


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


# Fees that have become too low.


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


async def test_an_ethereum_payout_that_fails_costs_its_fee_and_pays_nothing() -> None:
    stage = await funded(Asset.ETH)
    stage.ethereum.failing = True
    await journey(stage, Asset.ETH)
    books = stage.custody.balances(Asset.ETH)
    assert stage.state(Asset.ETH) is WithdrawalState.SETTLED
    assert paid_out(stage, Asset.ETH) == []
    assert books.available == 2 * ETH - books.network_fees == stands_at_the_account(stage, Asset.ETH)
