"""The machine, led by hand to where chance seldom goes; after every step, what always holds is checked."""

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Any

import pytest

from custody.application.ports.chains import FeeRate
from custody.domain.account import Halt
from custody.domain.identifiers import WithdrawalId
from custody.domain.withdrawal_states import SPENDABLE, WithdrawalState
from signers.statements.amounts import Asset
from signers.statements.refusals import Tag
from tests.model.test_ledger_machine import Everything
from tests.model.world import CONFIRMATIONS, DEPTH_MAX, FINALITY, UNIT

S = WithdrawalState


class Walk(Everything):
    """Steps of the machine by name."""

    def pay(self, asset: Asset, units: int, fee_units: int, **named: Any) -> WithdrawalId:
        """A withdrawal that is granted, as far as it goes."""
        name = self.send(asset, units, fee_units, **named)
        assert name is not None
        self.everything_holds()
        return name

    def state(self, name: WithdrawalId) -> WithdrawalState:
        return self.withdrawal(name).state

    def books(self) -> list[dict[str, Any]]:
        return [asdict(self.custody.balances(asset)) for asset in Asset]

    def unwilling(self, tag: Tag | None = Tag.STALE_TIP) -> None:
        """No signer signs, or all do again."""
        for index in range(3):
            self.a_signer_changes_its_mind(index, tag)


def checked(step: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(step)
    def taken(walk: Walk, *arguments: Any, **named: Any) -> None:
        step(walk, *arguments, **named)
        walk.everything_holds()

    return taken


for _name, _step in inspect.getmembers(Everything, lambda each: hasattr(each, "hypothesis_stateful_rule")):
    setattr(Walk, _name, checked(_step))


@pytest.fixture
def walk() -> Iterator[Walk]:
    machine = Walk()
    machine.begin()
    yield machine
    machine.close()


@pytest.mark.parametrize("asset", Asset)
def test_from_an_arrival_to_a_settled_payout(walk: Walk, asset: Asset) -> None:
    before = walk.free(asset)
    walk.arrive(asset, 50_000)
    walk.mine(asset, 1)
    assert walk.free(asset) == before
    assert walk.custody.balances(asset).pending == 50_000 * UNIT[asset]
    walk.mine(asset, CONFIRMATIONS - 1)
    assert walk.free(asset) == before + 50_000 * UNIT[asset]
    name = walk.pay(asset, 30_000, 2_000)
    assert walk.state(name) is S.BROADCAST
    walk.mine(asset, 1)
    assert walk.state(name) is S.CONFIRMING
    walk.mine(asset, FINALITY - 1)
    assert walk.state(name) is S.SETTLED
    (spend,) = walk.spends(asset)
    assert (spend.paid, spend.settled) == (30_000 * UNIT[asset], True)
    walk.reconcile()


def test_a_failed_ethereum_payout_costs_its_fee_and_pays_nothing(walk: Walk) -> None:
    name = walk.pay(Asset.ETH, 30_000, 2_000)
    walk.mine(Asset.ETH, 4, failing=True)
    (spend,) = walk.spends(Asset.ETH)
    assert (spend.paid, spend.fee > 0, walk.state(name)) == (0, True, S.SETTLED)


@pytest.mark.parametrize("depth", range(1, DEPTH_MAX + 1))
def test_a_reorganisation_of_any_depth_reverses_exactly(walk: Walk, depth: int) -> None:
    """Blocks of arrivals, a payout among them, that never were."""
    walk.pay(Asset.BTC, 30_000, 4_000)
    before, coins = walk.books(), dict(walk.bitcoin.coins)
    for _ in range(depth):
        walk.arrive(Asset.BTC, 7_000)
        walk.mine(Asset.BTC, 1)
    assert walk.books() != before
    walk.fork(Asset.BTC, depth, "never")
    assert (walk.books(), walk.bitcoin.coins) == (before, coins)


@pytest.mark.parametrize("fate", ["again", "together"])
def test_the_same_transactions_in_other_blocks_change_nothing(walk: Walk, fate: str) -> None:
    walk.arrive(Asset.BTC, 50_000)
    walk.pay(Asset.BTC, 30_000, 4_000, blocks=FINALITY)
    walk.pay(Asset.ETH, 30_000, 4_000, blocks=1)
    before, (payout,) = walk.custody.balances(Asset.BTC), walk.spends(Asset.ETH)
    walk.fork(Asset.BTC, FINALITY, fate)
    walk.fork(Asset.ETH, 1, fate)
    walk.mine(Asset.BTC, FINALITY)
    walk.mine(Asset.ETH, 4)
    assert walk.custody.balances(Asset.BTC) == before
    assert walk.spends(Asset.ETH) == [replace(payout, settled=True)]
    assert not walk.custody.account.halts


def test_what_is_lent_and_lost_is_a_shortfall_until_it_is_there_again(walk: Walk) -> None:
    walk.arrive(Asset.BTC, 60_000)
    walk.mine(Asset.BTC, CONFIRMATIONS)
    walk.reserve(Asset.BTC, 1, "all", kept_percent=60)
    walk.reserve(Asset.BTC, 1, "all")
    walk.fork(Asset.BTC, CONFIRMATIONS, "never")
    assert walk.custody.account.halts == {Halt.REORG_SHORTFALL}
    assert walk.custody.balances(Asset.BTC).shortfall == 60_000
    for asset in Asset:
        walk.reserve(asset, 1, "some")
        assert walk.ask_for(asset, 600, 100) is None
    assert walk.reached["refused: ACCOUNT_HALTED"] == 4
    walk.arrive(Asset.BTC, 60_001)
    walk.mine(Asset.BTC, CONFIRMATIONS)
    assert not walk.custody.account.halts
    assert walk.free(Asset.BTC) == 1


def test_a_settled_payout_is_opened_again_and_its_coins_stay_its_own(walk: Walk) -> None:
    first = walk.pay(Asset.BTC, 30_000, 4_000, blocks=FINALITY)
    second = walk.ask_for(Asset.BTC, 100_000, 4_000)
    assert second is not None
    walk.fork(Asset.BTC, FINALITY, "never")
    assert (walk.state(first), walk.state(second)) == (S.BROADCAST, S.REQUESTED)
    walk.let_everything_finish()
    assert walk.reached["everything finished"]
    assert (walk.state(first), walk.state(second)) == (S.SETTLED, S.SETTLED)


def test_free_again_then_lent_then_taken_back_shows_as_a_shortfall(walk: Walk) -> None:
    walk.pay(Asset.BTC, 30_000, 40_000, blocks=FINALITY)
    walk.reserve(Asset.BTC, 1, "all")
    walk.fork(Asset.BTC, FINALITY, "later")
    assert walk.custody.account.halts == {Halt.REORG_SHORTFALL}
    walk.mine(Asset.BTC, FINALITY)
    assert not walk.custody.account.halts


def test_a_payout_whose_coins_never_come_back_stays_open_and_halted(walk: Walk) -> None:
    walk.arrive(Asset.BTC, 60_000)
    walk.arrive(Asset.BTC, 90_000)
    walk.mine(Asset.BTC, CONFIRMATIONS)
    name = walk.pay(Asset.BTC, 80_000, 4_000)
    walk.mine(Asset.BTC, 1)
    walk.reserve(Asset.BTC, 1, "all", kept_percent=100)
    walk.fork(Asset.BTC, CONFIRMATIONS + 1, "never")
    walk.let_everything_finish()
    assert walk.state(name) in SPENDABLE
    assert walk.custody.account.halts == {Halt.REORG_SHORTFALL}
    assert walk.custody.balances(Asset.BTC).shortfall == 150_000


def fee_rises(walk: Walk, rate: int) -> None:
    walk.house.bitcoin.rate = FeeRate(rate)
    walk.house.bitcoin.minimum = FeeRate(rate)
    walk.house.bitcoin.mempool.clear()


def test_a_signed_transaction_that_nodes_refuse_for_its_fee_is_attempted_again(walk: Walk) -> None:
    name = walk.ask_for(Asset.BTC, 30_000, 30_000)
    assert name is not None
    walk.run(walk.house.drive())
    walk.everybody_signs()
    walk.run(walk.house.drive())
    walk.pass_time(700)
    while walk.state(name) is not S.SIGNED:
        walk.drive(0, 1)
    fee_rises(walk, 8_000)
    walk.drive(0, 6)
    assert (walk.state(name), len(walk.withdrawal(name).attempts)) == (S.BROADCAST, 2)
    walk.mine(Asset.BTC, FINALITY)
    assert walk.state(name) is S.SETTLED


def test_an_older_attempt_confirms_while_the_next_is_being_signed(walk: Walk) -> None:
    name = walk.pay(Asset.BTC, 30_000, 30_000)
    walk.house.bitcoin.rate = FeeRate(8_000)
    walk.unwilling()
    walk.drive(3_700, 3)
    assert walk.state(name) is S.SIGNING
    walk.mine(Asset.BTC, 1)
    assert walk.state(name) is S.CONFIRMING
    walk.fork(Asset.BTC, 1, "never")
    assert walk.state(name) is S.BROADCAST
    walk.let_everything_finish()
    assert walk.state(name) is S.SETTLED


def test_whichever_attempt_confirms_settles(walk: Walk) -> None:
    name = walk.pay(Asset.BTC, 30_000, 30_000)
    walk.house.bitcoin.rate = FeeRate(8_000)
    walk.drive(3_700, 6)
    first, second = walk.house.bitcoin.sent
    for attempt in (first, second, first):
        walk.house.bitcoin.add([walk.house.bitcoin.known[attempt]])
        walk.mine(Asset.BTC, FINALITY)
        confirmation = walk.withdrawal(name).confirmation
        assert confirmation is not None
        assert walk.withdrawal(name).attempts[confirmation.attempt - 1].transaction_id == attempt
        assert walk.state(name) is S.SETTLED
        walk.fork(Asset.BTC, FINALITY + 1, "never")
        assert walk.state(name) is S.BROADCAST


@pytest.mark.parametrize("fate", ["again", "never"])
def test_broken_finality_halts_and_never_corrupts_the_books(walk: Walk, fate: str) -> None:
    walk.arrive(Asset.ETH, 50_000)
    name = walk.pay(Asset.ETH, 30_000, 4_000, blocks=4)
    assert walk.state(name) is S.SETTLED
    (payout,) = walk.spends(Asset.ETH)
    walk.reserve(Asset.ETH, 1, "all")
    before = walk.books()
    walk.break_finality(6, fate, lag=DEPTH_MAX)
    assert Halt.FINALITY_REORG in walk.custody.account.halts
    assert walk.state(name) is (S.CONFIRMING if fate == "again" else S.BROADCAST)
    walk.reconcile()
    walk.a_person_looks()
    walk.mine(Asset.ETH, 4)
    if fate == "again":
        assert walk.books() == before
    else:
        assert walk.custody.account.halts == {Halt.REORG_SHORTFALL}
        assert walk.custody.balances(Asset.ETH).shortfall == 54_000 * UNIT[Asset.ETH] - payout.fee
    walk.arrive(Asset.ETH, 54_000)
    walk.let_everything_finish()
    assert walk.state(name) is S.SETTLED


def test_every_answer_is_given_again_by_the_next_process(walk: Walk) -> None:
    walk.pay(Asset.BTC, 30_000, 4_000, blocks=FINALITY)
    walk.pay(Asset.ETH, 30_000, 4_000)
    walk.reserve(Asset.BTC, 10_000, "some", kept_percent=60)
    for name in sorted(walk.claims.liens):
        walk.give_back(name)
    walk.restart()
    asked = {each.use_case.__module__ + "." + each.use_case.__name__ for each in walk.answered}
    assert asked == {
        "custody.application.consents.approve",
        "custody.application.consents.release",
        "custody.application.consents.sign",
        "custody.application.liens.post",
        "custody.application.liens.reserve",
        "custody.application.liens.void",
        "custody.application.withdrawals.create",
    }
    for each in walk.answered:
        walk.ask_again(each)
    walk.everything_holds()


def test_what_nobody_signed_in_time_ends(walk: Walk) -> None:
    walk.reserve(Asset.BTC, 10_000, "some")
    announcing = walk.send(Asset.ETH, 30_000, 4_000, unwilling=1)
    requested = walk.ask_for(Asset.BTC, 30_000, 4_000)
    assert requested is not None
    assert announcing is not None
    assert walk.state(announcing) is S.ANNOUNCING
    walk.intents_run_out(swept=False, ticks=0)
    assert walk.state(announcing) is S.ANNOUNCING
    walk.intents_run_out(ticks=0)
    assert walk.state(requested) is walk.state(announcing) is S.EXPIRED
    assert not walk.claims.liens


@pytest.mark.parametrize("at", range(0, 60, 7))
def test_processes_that_die_one_after_the_other_pay_once(walk: Walk, at: int) -> None:
    name = walk.ask_for(Asset.BTC, 30_000, 4_000)
    assert name is not None
    for turn in range(12):
        walk.die((at + turn) % 60)
        walk.everybody_signs()
        walk.drive(400, 1)
    walk.let_everything_finish()
    assert walk.state(name) is S.SETTLED
