"""What chains do: arrivals, depth, reorganisations, spends, settlement, on both chains."""

from dataclasses import replace
from typing import Any

import pytest

from custody.application import deposits, reconciliation
from custody.application.ports.store import Retraction
from custody.domain.account import Halt
from custody.domain.chain_view import WINDOW_BLOCKS, BlockRef
from custody.domain.deposit import (
    BitcoinBlock,
    BitcoinDelta,
    BitcoinMovement,
    Deposit,
    DepositState,
    EthereumDelta,
    EthereumMovement,
    ExecutedOutflow,
    Outpoint,
)
from custody.domain.errors import FieldInvalid, TipMoved
from custody.domain.identifiers import WithdrawalId
from custody.domain.ledger import Balances, Cause, CauseKind
from custody.domain.withdrawal import Withdrawal
from custody.domain.withdrawal_states import WithdrawalState
from signers.statements.amounts import Asset, Sats, Wei
from signers.statements.identifiers import BlockHash
from tests.factories import build_world
from tests.unit.custody.scenario import Custody, active, txid, unchanged

COIN = 10**8
ETHER = 10**18
FUNDING = Outpoint(txid("funding"), 0)


@pytest.fixture
def custody() -> Custody:
    custody = Custody()
    custody.onboard()
    return custody


def seen(custody: Custody) -> list[Deposit]:
    return list(custody.ask(lambda uow: uow.deposits(custody.account_id, after=None, limit=100)))


def books(custody: Custody, asset: Asset = Asset.BTC) -> Balances:
    return custody.balances(asset)


def retraction(custody: Custody) -> Retraction | None:
    """What the account's latest change retracts."""
    changes = custody.ask(lambda uow: uow.changes(custody.account_id, after=0, limit=1000))
    found: Retraction | None = changes[-1].retraction
    return found


# Bitcoin.


def test_a_deposit_is_pending_until_its_sixth_confirmation(custody: Custody) -> None:
    custody.mine(custody.arrival("a", 100), count=5)
    assert (books(custody).pending, books(custody).available) == (100, 0)
    custody.mine()
    assert (books(custody).pending, books(custody).available) == (0, 100)
    (deposit,) = seen(custody)
    assert (deposit.state, deposit.outpoint) == (DepositState.CREDITED, Outpoint(txid("a"), 0))


def test_a_reorganisation_reverses_what_was_pending(custody: Custody) -> None:
    custody.mine(custody.arrival("a", 100), count=2)
    custody.reorg(2, [(), (), ()])
    assert custody.ask(lambda uow: uow.tip(Asset.BTC)) == custody.bitcoin.tip
    assert books(custody) == Balances(Asset.BTC)
    assert seen(custody)[0].state is DepositState.REVERSED
    assert custody.ask(lambda uow: uow.coins(custody.account_id)) == []


def test_a_reorganisation_reverses_what_was_credited(custody: Custody) -> None:
    custody.mine(custody.arrival("a", 100), count=8)
    custody.reorg(8, [()] * 9)
    assert books(custody) == Balances(Asset.BTC)
    assert not custody.account.halted


@pytest.mark.parametrize("depth", [2, 8], ids=["pending", "credited"])
def test_a_reversal_retracts_every_report_since_the_deposit_was_seen(custody: Custody, depth: int) -> None:
    """Seen twice in the very same block: what the first reversal retracted is over."""
    base, before = custody.bitcoin.tip, custody.account.sequence
    custody.mine(custody.arrival("a", 100), count=depth)
    blocks = custody.bitcoin.blocks[-depth:]
    assert retraction(custody) is None
    custody.reorg(depth, [()] * (depth + 1))
    first = retraction(custody)
    assert first == Retraction(before + 1, custody.account.sequence - 1)
    tip, seen_again = custody.bitcoin.tip, custody.account.sequence + 1
    assert base is not None
    again = tuple(
        BitcoinBlock(
            block=block,
            parent=parent,
            movements=(custody.arrival("a", 100),) if block is blocks[0] else (),
        )
        for parent, block in zip([base, *blocks], blocks, strict=False)
    )
    custody.do(deposits.apply, BitcoinDelta(expected_tip=tip, base=base, blocks=again))
    custody.do(deposits.apply, BitcoinDelta(expected_tip=blocks[-1], base=base, blocks=()))
    assert retraction(custody) == Retraction(seen_again, custody.account.sequence - 1)


def test_a_deposit_that_moved_to_another_block_is_a_new_observation(custody: Custody) -> None:
    custody.mine(custody.arrival("a", 100), count=8)
    custody.reorg(8, [(), (custody.arrival("a", 100),), *[()] * 7])
    assert books(custody).available == 100
    assert sorted(deposit.state for deposit in seen(custody)) == [
        DepositState.CREDITED,
        DepositState.REVERSED,
    ]


def test_the_very_block_that_comes_back_is_the_same_observation(custody: Custody) -> None:
    base = custody.bitcoin.tip
    custody.mine(custody.arrival("a", 100))
    block = custody.bitcoin.tip
    custody.reorg(1, [(), ()])
    tip = custody.bitcoin.tip
    assert base is not None
    assert block is not None
    again = BitcoinBlock(block=block, parent=base, movements=(custody.arrival("a", 100),))
    custody.do(deposits.apply, BitcoinDelta(expected_tip=tip, base=base, blocks=(again,)))
    (deposit,) = seen(custody)
    assert deposit.state is DepositState.PENDING
    assert books(custody).pending == 100


def test_a_credited_deposit_above_no_fork_stays_credited_on_a_lower_tip(custody: Custody) -> None:
    custody.mine(custody.arrival("a", 100), count=6)
    custody.reorg(3, [()])
    assert books(custody).available == 100


def test_lent_coins_that_go_leave_a_shortfall_and_halt_the_account() -> None:
    custody = active()
    custody.reserve("lien-1", Sats(COIN * 7 // 10))
    custody.reorg(6, [()] * 7)
    found = books(custody)
    assert (found.available, found.reserved, found.shortfall) == (0, COIN * 7 // 10, COIN * 7 // 10)
    assert custody.account.halts == {Halt.REORG_SHORTFALL}
    custody.mine(custody.arrival("funding", COIN), count=6)
    assert books(custody).available == COIN * 3 // 10
    assert not custody.account.halted


def test_a_void_fills_the_shortfall_first() -> None:
    custody = active()
    amount = Sats(COIN * 7 // 10)
    custody.reserve("lien-1", amount)
    custody.reorg(6, [()] * 7)
    custody.void("lien-1", amount)
    assert books(custody) == Balances(Asset.BTC)
    assert not custody.account.halted


def test_a_delta_from_another_tip_starts_over(custody: Custody) -> None:
    tip = custody.bitcoin.tip
    custody.mine()
    stale = BitcoinDelta(expected_tip=tip, base=tip, blocks=())
    unchanged(custody, lambda: custody.do(deposits.apply, stale), TipMoved)


@pytest.mark.parametrize("change", ["parent", "height", "base"], ids=["other-parent", "gap", "unknown-base"])
def test_blocks_that_do_not_connect(custody: Custody, change: str) -> None:
    tip = custody.bitcoin.tip
    assert tip is not None
    other = BlockRef(tip.height, BlockHash("ff" * 32))
    block = BitcoinBlock(block=BlockRef(tip.height + 1, BlockHash("aa" * 32)), parent=tip)
    delta = BitcoinDelta(expected_tip=tip, base=tip, blocks=(block,))
    if change == "parent":
        delta = replace(delta, blocks=(replace(block, parent=other),))
    elif change == "height":
        high = BlockRef(tip.height + 2, BlockHash("aa" * 32))
        delta = replace(delta, blocks=(replace(block, block=high),))
    else:
        delta = replace(delta, base=other)
    unchanged(custody, lambda: custody.do(deposits.apply, delta), FieldInvalid)


def test_the_recorded_window_is_bounded(custody: Custody) -> None:
    custody.mine(count=WINDOW_BLOCKS + 20)
    recorded = custody.ask(lambda uow: uow.blocks(Asset.BTC))
    assert len(recorded) == WINDOW_BLOCKS
    assert recorded[-1] == custody.bitcoin.tip


def outgoing(custody: Custody) -> Withdrawal:
    return custody.to_broadcast(Sats(COIN // 2), Sats(50_000), Sats(10_000), FUNDING)


def test_a_payout_confirms_settles_and_leaves_its_change() -> None:
    custody = active()
    present = outgoing(custody)
    custody.mine(custody.payout(present))
    assert custody.present(present).state is WithdrawalState.CONFIRMING
    assert books(custody).withdrawing == COIN // 2 + 50_000
    custody.mine(count=98)
    assert custody.present(present).state is WithdrawalState.CONFIRMING
    custody.mine()
    assert custody.present(present).state is WithdrawalState.SETTLED
    found = books(custody)
    assert (found.withdrawing, found.network_fees) == (0, 10_000)
    assert found.available == COIN // 2 - 10_000
    (coin,) = custody.ask(lambda uow: uow.coins(custody.account_id))
    assert (coin.origin, coin.amount) == ("change", Sats(COIN // 2 - 10_000))
    assert len([d for d in seen(custody) if d.amount.asset is Asset.BTC]) == 1


@pytest.mark.parametrize("depth", [1, 50, 100])
def test_a_payout_whose_block_goes_is_broadcast_again(depth: int) -> None:
    custody = active()
    present = outgoing(custody)
    before = books(custody)
    payout = custody.payout(present)
    custody.mine(payout, count=depth)
    confirmed_at = custody.ask(
        lambda uow: uow.sequences_of(custody.account_id, Cause(CauseKind.WITHDRAWAL, present.withdrawal))
    )[-2 if depth == 100 else -1]
    custody.reserve("lien-1", Sats(1000))
    custody.void("lien-1", Sats(1000))
    custody.reorg(depth, [()] * (depth + 1))
    assert retraction(custody) == Retraction(confirmed_at, custody.account.sequence - 1)
    opened = custody.present(present)
    assert (opened.state, opened.confirmation) == (WithdrawalState.BROADCAST, None)
    assert books(custody) == before
    custody.mine(payout, count=100)
    assert custody.present(present).state is WithdrawalState.SETTLED


def test_what_a_settled_payout_freed_and_is_lent_now_shows_as_a_shortfall() -> None:
    custody = active()
    present = outgoing(custody)
    custody.mine(custody.payout(present), count=100)
    custody.reserve("lien-1", Sats(COIN // 2 - 10_000))
    custody.reorg(100, [()] * 101)
    assert custody.account.halts == {Halt.REORG_SHORTFALL}
    assert books(custody).shortfall == 40_000


def test_a_spend_that_is_none_of_ours_halts_the_account() -> None:
    custody = active()
    custody.mine(BitcoinMovement(txid=txid("theft"), spends=(FUNDING,)))
    assert custody.account.halts == {Halt.UNKNOWN_SPEND}
    (found,) = custody.ask(reconciliation.ledger).expected
    assert (found.bitcoin_units, found.coins) == (COIN, ())


def test_an_attempt_on_record_that_was_not_sent_by_us_still_counts() -> None:
    custody = active()
    present = custody.plan(custody.request(Sats(COIN // 2), Sats(50_000)), FUNDING)
    present = custody.announce(custody.agree(present))
    present = custody.finish(custody.attempt(present, Sats(10_000)))
    custody.mine(custody.payout(present))
    assert custody.present(present).state is WithdrawalState.CONFIRMING
    assert not custody.account.halted


def test_the_ledger_says_what_the_address_holds_at_every_moment() -> None:
    custody = active()

    def agrees() -> bool:
        (found,) = custody.ask(reconciliation.ledger).expected
        return found.bitcoin_units == sum(coin.amount.units for coin in found.coins)

    present = outgoing(custody)
    assert agrees()
    custody.mine(custody.payout(present), custody.arrival("more", 77))
    assert agrees()
    custody.mine(count=99)
    assert agrees()
    custody.reorg(100, [()])
    assert agrees()


# Ethereum.


def test_ether_is_pending_in_its_block_and_credited_when_final(custody: Custody) -> None:
    custody.advance_ethereum(custody.received(100))
    assert (books(custody, Asset.ETH).pending, books(custody, Asset.ETH).available) == (100, 0)
    custody.advance_ethereum(balance=100)
    assert (books(custody, Asset.ETH).pending, books(custody, Asset.ETH).available) == (0, 100)
    assert [deposit.state for deposit in seen(custody)] == [DepositState.CREDITED]


def test_only_what_is_proven_is_credited(custody: Custody) -> None:
    custody.advance_ethereum(custody.received(100))
    custody.advance_ethereum(balance=60)
    assert (books(custody, Asset.ETH).pending, books(custody, Asset.ETH).available) == (0, 60)
    assert sorted((d.state, d.amount.units) for d in seen(custody)) == [
        (DepositState.CREDITED, 60),
        (DepositState.REVERSED, 100),
    ]


def test_what_no_block_showed_and_the_balance_proves_is_credited(custody: Custody) -> None:
    custody.advance_ethereum(balance=60)
    assert books(custody, Asset.ETH).available == 60


def test_an_account_without_a_verified_balance_stays_pending(custody: Custody) -> None:
    custody.advance_ethereum(custody.received(100))
    tip = custody.ethereum.tip
    delta = EthereumDelta(expected_tip=tip, base=tip, blocks=(), finalised=tip)
    custody.do(deposits.apply, delta)
    assert books(custody, Asset.ETH).pending == 100
    again = replace(delta, balances=(custody.verified(100),))
    custody.do(deposits.apply, again)
    assert books(custody, Asset.ETH).available == 100


def test_a_reorganisation_reverses_pending_ether(custody: Custody) -> None:
    custody.advance_ethereum(custody.received(100))
    base = custody.ethereum.blocks[-2]
    delta = EthereumDelta(expected_tip=custody.ethereum.tip, base=base, blocks=(), finalised=None)
    custody.do(deposits.apply, delta)
    assert books(custody, Asset.ETH) == Balances(Asset.ETH)
    assert not custody.account.halted


def test_a_fork_below_finality_halts_and_is_taken_back(custody: Custody) -> None:
    base = custody.ethereum.tip
    custody.advance_ethereum(custody.received(100), balance=100)
    delta = EthereumDelta(expected_tip=custody.ethereum.tip, base=base, blocks=(), finalised=None)
    custody.do(deposits.apply, delta)
    custody.ethereum.fork(1)
    assert books(custody, Asset.ETH) == Balances(Asset.ETH)
    assert custody.account.halts == {Halt.FINALITY_REORG}
    custody.advance_ethereum(custody.received(100), balance=100)
    assert books(custody, Asset.ETH).available == 100


def executed(custody: Custody, amount: int, fee: int, name: str = "eth") -> EthereumMovement:
    outflow = ExecutedOutflow(transaction_id=txid(name), nonce=0, amount=Wei(amount), fee=Wei(fee))
    return EthereumMovement(account=custody.account_id, received=Wei(0), outflows=(outflow,))


@pytest.fixture
def sending() -> tuple[Custody, Withdrawal]:
    custody = active()
    changes: dict[str, Any] = {"withdrawal": WithdrawalId("w-eth"), "name": "eth"}
    return custody, custody.to_broadcast(Wei(ETHER), Wei(ETHER // 100), Wei(ETHER // 200), **changes)


def test_an_ethereum_payout_settles_when_final(sending: tuple[Custody, Withdrawal]) -> None:
    custody, present = sending
    custody.advance_ethereum(executed(custody, ETHER, 21_000))
    assert custody.present(present).state is WithdrawalState.CONFIRMING
    custody.advance_ethereum(balance=ETHER - 21_000, nonce=1)
    assert custody.present(present).state is WithdrawalState.SETTLED
    found = books(custody, Asset.ETH)
    assert (found.available, found.withdrawing, found.network_fees) == (ETHER - 21_000, 0, 21_000)


def test_a_payout_that_failed_costs_its_fee(sending: tuple[Custody, Withdrawal]) -> None:
    custody, present = sending
    custody.advance_ethereum(executed(custody, 0, 21_000))
    custody.advance_ethereum(balance=2 * ETHER - 21_000, nonce=1)
    assert custody.present(present).state is WithdrawalState.SETTLED
    assert books(custody, Asset.ETH).available == 2 * ETHER - 21_000


def test_a_fork_below_a_settled_ethereum_payout(sending: tuple[Custody, Withdrawal]) -> None:
    custody, present = sending
    before, base = books(custody, Asset.ETH), custody.ethereum.tip
    custody.advance_ethereum(executed(custody, ETHER, 21_000), balance=ETHER - 21_000, nonce=1)
    delta = EthereumDelta(expected_tip=custody.ethereum.tip, base=base, blocks=(), finalised=None)
    custody.do(deposits.apply, delta)
    custody.ethereum.fork(1)
    assert books(custody, Asset.ETH) == before
    assert custody.present(present).state is WithdrawalState.BROADCAST
    last = custody.ask(lambda uow: uow.finalised_balance(custody.account_id))
    assert last is not None
    assert (last.block, last.nonce, last.balance) == (base, 0, Wei(2 * ETHER))


def test_ether_that_left_by_nobodys_word_halts_the_account() -> None:
    custody = active()
    before = books(custody, Asset.ETH)
    custody.advance_ethereum(balance=ETHER, nonce=1)
    assert custody.account.halts == {Halt.UNKNOWN_SPEND}
    assert books(custody, Asset.ETH) == before


def test_a_nonce_that_nobody_used_halts_the_account() -> None:
    custody = active()
    custody.advance_ethereum(balance=2 * ETHER, nonce=1)
    assert custody.account.halts == {Halt.UNKNOWN_SPEND}


def test_a_transaction_that_is_no_attempt_halts_the_account() -> None:
    custody = active()
    custody.advance_ethereum(executed(custody, ETHER, 21_000))
    assert custody.account.halts == {Halt.UNKNOWN_SPEND}


@pytest.mark.parametrize("asset", Asset)
def test_what_the_policy_has_no_terms_for_is_followed_and_stays_pending(asset: Asset) -> None:
    """Accounts have addresses on both chains, whatever the policy accepts: somebody will pay to them."""
    policy = build_world().policy
    eligible = {
        "assets": tuple(each for each in policy.assets if each.asset is not asset),
        "limits": tuple(each for each in policy.limits if each.total.asset is not asset),
        "tiers": tuple(each for each in policy.tiers if each.up_to.asset is not asset),
    }
    custody = Custody(build_world(policy_changes=eligible))
    custody.onboard()
    custody.mine(custody.arrival("a", 100), count=6)
    custody.advance_ethereum(custody.received(100), balance=100)
    custody.advance_ethereum(balance=100)
    found = {each: (books(custody, each).pending, books(custody, each).available) for each in Asset}
    assert found == {each: (100, 0) if each is asset else (0, 100) for each in Asset}
    assert not custody.account.halts


def test_a_finalised_block_is_a_recorded_one(custody: Custody) -> None:
    tip = custody.ethereum.tip
    delta = EthereumDelta(expected_tip=tip, base=tip, blocks=(), finalised=BlockRef(1, BlockHash("ab" * 32)))
    unchanged(custody, lambda: custody.do(deposits.apply, delta), FieldInvalid)
