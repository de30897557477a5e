"""Both watchers: deposits seen, credited, taken back; spends of ours and of nobody's; chains that change."""

from typing import Any

import pytest

from custody.application import onboarding
from custody.application.ports.chains import (
    BlockHeader,
    ChainDataInvalid,
    ChainUnavailable,
    Executed,
    NodesDisagree,
)
from custody.domain.account import Halt
from custody.domain.deposit import Deposit, DepositState, Outpoint
from custody.domain.withdrawal_states import WithdrawalState
from custody.workers.chain_health import SILENCE_SECONDS_MAX
from signers.statements.amounts import Asset
from signers.statements.identifiers import TxId
from tests.factories import BTC, ETH
from tests.unit.custody.adapters.blocks import transaction
from tests.unit.custody.workers.stage import CONFIRMATIONS, Stage


@pytest.fixture
async def stage() -> Stage:
    made = Stage()
    await made.watch()
    return made


def script(stage: Stage) -> bytes:
    return stage.world.account.bitcoin.script_pubkey.raw


class Silent:
    """Nodes that do not answer."""

    def __getattr__(self, name: str) -> Any:
        async def no_answer(*arguments: object) -> None:
            raise ChainUnavailable(answered=1, needed=2, causes=["node-b: timed out"])

        return no_answer


def deposits(stage: Stage) -> list[Deposit]:
    account = stage.custody.account_id
    return list(stage.custody.ask(lambda uow: uow.deposits(account, after=None, limit=100)))


async def test_a_bitcoin_deposit_is_pending_then_credited(stage: Stage) -> None:
    outpoint = stage.bitcoin.pay(script(stage), BTC)
    stage.bitcoin.mine()
    await stage.watch()
    (deposit,) = deposits(stage)
    assert (deposit.outpoint, deposit.state) == (outpoint, DepositState.PENDING)
    assert stage.custody.balances(Asset.BTC).pending == BTC
    stage.bitcoin.mine(CONFIRMATIONS - 1)
    await stage.watch()
    assert stage.custody.balances(Asset.BTC).available == BTC


async def test_nothing_happens_twice_when_nothing_happened(stage: Stage) -> None:
    stage.bitcoin.pay(script(stage), BTC)
    stage.bitcoin.mine(3)
    await stage.watch()
    before = stage.custody.dump()
    assert not await stage.bitcoin_watcher.tick()
    assert not await stage.ethereum_watcher.tick()
    stage.start()
    await stage.watch()
    assert stage.custody.dump() == before


async def test_a_pending_deposit_that_a_reorganisation_drops_is_taken_back(stage: Stage) -> None:
    stage.bitcoin.pay(script(stage), BTC)
    stage.bitcoin.mine()
    await stage.watch()
    stage.bitcoin.reorg(1, drop=True)
    await stage.watch()
    (deposit,) = deposits(stage)
    books = stage.custody.balances(Asset.BTC)
    assert deposit.state is DepositState.REVERSED
    assert (books.pending, books.available, books.external) == (0, 0, 0)
    assert not stage.custody.account.halts


async def test_a_deposit_that_moves_to_another_block_is_counted_once(stage: Stage) -> None:
    stage.bitcoin.pay(script(stage), BTC)
    stage.bitcoin.mine()
    await stage.watch()
    stage.bitcoin.reorg(1)
    stage.bitcoin.mine(CONFIRMATIONS)
    await stage.watch()
    assert stage.custody.balances(Asset.BTC).available == BTC
    assert sorted(each.state for each in deposits(stage)) == [DepositState.CREDITED, DepositState.REVERSED]


async def test_a_credited_deposit_that_is_gone_is_taken_from_what_is_available(stage: Stage) -> None:
    stage.bitcoin.pay(script(stage), BTC)
    stage.bitcoin.mine(CONFIRMATIONS)
    await stage.watch()
    stage.bitcoin.reorg(CONFIRMATIONS, drop=True)
    await stage.watch()
    assert stage.custody.balances(Asset.BTC).available == 0


async def test_a_reorganisation_while_a_new_process_starts_is_found(stage: Stage) -> None:
    stage.bitcoin.pay(script(stage), BTC)
    stage.bitcoin.mine(CONFIRMATIONS)
    await stage.watch()
    stage.bitcoin.reorg(CONFIRMATIONS, drop=True)
    stage.start()
    await stage.watch()
    assert stage.custody.balances(Asset.BTC).available == 0


async def test_a_coin_spent_by_nobody_we_know_halts_the_account(stage: Stage) -> None:
    outpoint = stage.bitcoin.pay(script(stage), BTC)
    stage.bitcoin.mine(CONFIRMATIONS)
    await stage.watch()
    stage.bitcoin.put(transaction(spends=[outpoint], outputs=[(b"\x6a", BTC)]))
    stage.bitcoin.mine()
    await stage.watch()
    assert Halt.UNKNOWN_SPEND in stage.custody.account.halts


async def test_a_coin_spent_in_the_block_after_it_arrived_is_seen_in_one_delta(stage: Stage) -> None:
    outpoint = stage.bitcoin.pay(script(stage), BTC)
    stage.bitcoin.mine()
    stage.bitcoin.put(transaction(spends=[outpoint], outputs=[(b"\x6a", BTC)]))
    stage.bitcoin.mine()
    await stage.watch()
    assert Halt.UNKNOWN_SPEND in stage.custody.account.halts


async def test_a_coin_spent_again_on_another_branch_is_seen_again(stage: Stage) -> None:
    """The coin was spent in a block that lost: the winning branch's spend of it must not be missed."""
    outpoint = stage.bitcoin.pay(script(stage), BTC)
    stage.bitcoin.mine(CONFIRMATIONS)
    await stage.watch()
    stage.bitcoin.put(transaction(spends=[outpoint], outputs=[(b"\x6a", BTC)]))
    stage.bitcoin.mine()
    await stage.watch()
    stage.bitcoin.reorg(1, drop=True)
    again = stage.bitcoin.put(transaction(spends=[outpoint], outputs=[(b"\x6a\x01", BTC)]))
    stage.bitcoin.mine()
    stage.start()
    await stage.watch()
    coin = stage.custody.ask(lambda uow: uow.coin(outpoint))
    assert coin is not None
    assert coin.spent_by == again


async def test_catching_up_takes_many_ticks_and_loses_nothing(stage: Stage) -> None:
    for _ in range(5):
        stage.bitcoin.pay(script(stage), BTC)
        stage.bitcoin.mine(20)
    ticks = 0
    while await stage.bitcoin_watcher.tick():
        ticks += 1
    assert ticks >= 4
    assert stage.custody.balances(Asset.BTC).available == 5 * BTC


async def test_a_fork_below_the_recorded_window_is_a_dispute_and_changes_nothing(stage: Stage) -> None:
    stage.bitcoin.pay(script(stage), BTC)
    stage.bitcoin.mine(CONFIRMATIONS)
    await stage.watch()
    before = stage.custody.balances(Asset.BTC)
    stage.bitcoin.chain.clear()
    stage.bitcoin.mine(10)
    with pytest.raises(NodesDisagree):
        await stage.bitcoin_watcher.tick()
    assert Asset.BTC in stage.health.disputed(now=stage.clock())
    assert stage.custody.balances(Asset.BTC) == before


async def test_nodes_that_disagree_are_a_dispute_until_they_agree(stage: Stage) -> None:
    class Divided:
        async def tip(self) -> BlockHeader:
            raise NodesDisagree(subject="the tip", answers=["a", "b"])

    honest, stage.bitcoin_watcher._chain = stage.bitcoin_watcher._chain, Divided()  # type: ignore[assignment] # a stand-in
    with pytest.raises(NodesDisagree):
        await stage.bitcoin_watcher.tick()
    assert stage.health.why(Asset.BTC, now=stage.clock()) == "the tip: a / b"
    stage.bitcoin_watcher._chain = honest
    await stage.bitcoin_watcher.tick()
    assert stage.health.why(Asset.BTC, now=stage.clock()) is None


async def test_a_chain_is_disputed_until_the_ledger_has_caught_up(stage: Stage) -> None:
    """What the ledger says before is an old view, and old views are not lent against."""
    stage.bitcoin.mine(100)
    stage.start()
    while await stage.bitcoin_watcher.tick():
        assert Asset.BTC in stage.health.disputed(now=stage.clock())
    assert Asset.BTC not in stage.health.disputed(now=stage.clock())


@pytest.mark.parametrize("asset", Asset)
async def test_a_chain_that_nobody_has_seen_for_a_while_is_disputed(stage: Stage, asset: Asset) -> None:
    """The owner of a node that is needed stops answering: what it hides must not stay lent against."""
    watchers: list[Any] = [stage.bitcoin_watcher, stage.ethereum_watcher]
    silent, heard = watchers if asset is Asset.BTC else reversed(watchers)
    answering, silent._chain = silent._chain, Silent()
    for seconds, disputed in ((SILENCE_SECONDS_MAX, set()), (1, {asset})):
        stage.be_silent(seconds)
        with pytest.raises(ChainUnavailable):
            await silent.tick()
        await heard.tick()
        assert stage.health.disputed(now=stage.clock()) == disputed
    assert stage.health.why(asset, now=stage.clock()) == f"not seen for {SILENCE_SECONDS_MAX + 1} s"
    silent._chain = answering
    await silent.tick()
    assert stage.health.why(asset, now=stage.clock()) is None


# Ethereum.


def final(stage: Stage) -> int:
    return stage.ethereum.final_behind + 1


async def test_ether_that_no_transaction_names_is_pending_then_credited(stage: Stage) -> None:
    address = stage.world.account.ethereum.address
    stage.ethereum.pay(address, ETH)
    stage.ethereum.mine()
    await stage.watch()
    assert stage.custody.balances(Asset.ETH).pending == ETH
    stage.ethereum.mine(final(stage))
    await stage.watch()
    books = stage.custody.balances(Asset.ETH)
    assert (books.pending, books.available) == (0, ETH)


async def test_ether_seen_only_when_it_is_already_final_is_credited_once(stage: Stage) -> None:
    stage.ethereum.pay(stage.world.account.ethereum.address, ETH)
    stage.ethereum.mine(20)
    await stage.watch()
    books = stage.custody.balances(Asset.ETH)
    assert (books.pending, books.available) == (0, ETH)


async def test_a_pending_deposit_of_ether_that_is_reorganised_away_is_taken_back(stage: Stage) -> None:
    stage.ethereum.pay(stage.world.account.ethereum.address, ETH)
    stage.ethereum.mine()
    await stage.watch()
    stage.ethereum.reorg(1)
    await stage.watch()
    stage.ethereum.mine(final(stage))
    await stage.watch()
    books = stage.custody.balances(Asset.ETH)
    assert (books.pending, books.available) == (0, 0)
    assert not stage.custody.account.halts


async def test_a_reorganisation_below_finality_halts(stage: Stage) -> None:
    stage.ethereum.pay(stage.world.account.ethereum.address, ETH)
    stage.ethereum.mine(final(stage) + 1)
    await stage.watch()
    stage.ethereum.reorg(final(stage) + 1)
    await stage.watch()
    assert Halt.FINALITY_REORG in stage.custody.account.halts


async def test_ether_that_left_in_no_transaction_of_ours_halts_at_once(stage: Stage) -> None:
    address = stage.world.account.ethereum.address
    stage.ethereum.pay(address, ETH)
    stage.ethereum.mine(final(stage) + 1)
    await stage.watch()
    stage.ethereum.pay(address, -ETH // 2)
    stage.ethereum.mine()
    await stage.watch()
    assert Halt.UNKNOWN_SPEND in stage.custody.account.halts


async def test_a_pause_longer_than_nodes_keep_states_starts_from_the_last_final_one(stage: Stage) -> None:
    address = stage.world.account.ethereum.address
    stage.ethereum.pay(address, ETH)
    stage.ethereum.mine(final(stage) + 1)
    await stage.watch()
    stage.ethereum.pay(address, ETH)
    stage.ethereum.mine(40)
    stage.ethereum.pruned_below = len(stage.ethereum.blocks) - 10
    stage.start()
    await stage.watch()
    books = stage.custody.balances(Asset.ETH)
    assert (books.pending, books.available) == (0, 2 * ETH)
    assert not stage.custody.account.halts


async def test_a_head_that_is_replaced_while_we_ask_what_happened_in_it_halts_nobody() -> None:
    """Proven is a state after the payout; asked about it afterwards, the nodes know of no such thing."""
    stage = Stage()
    await stage.fund()
    stage.request(Asset.ETH)
    await stage.drive()
    stage.custody.agree(stage.present(Asset.ETH))
    await stage.drive()
    stage.pass_time(700)
    await stage.drive()
    waiting = dict(stage.ethereum.mempool)
    assert len(waiting) == 1
    stage.ethereum.mine()
    executed = stage.ethereum.executed

    async def after_a_reorganisation(tx_hash: TxId) -> Executed | None:
        stage.ethereum.executed = executed  # type: ignore[method-assign] # once
        stage.ethereum.reorg(1)
        stage.ethereum.mempool.update(waiting)
        return await executed(tx_hash)

    stage.ethereum.executed = after_a_reorganisation  # type: ignore[method-assign] # a node that changes its mind
    with pytest.raises(ChainDataInvalid, match="the chain moved"):
        await stage.ethereum_watcher.tick()
    assert not stage.custody.account.halts
    await stage.settle(Asset.ETH)
    assert stage.state(Asset.ETH) is WithdrawalState.SETTLED
    assert not stage.custody.account.halts


async def test_an_outpoint_of_nobody_is_ignored(stage: Stage) -> None:
    elsewhere = Outpoint(TxId("ab" * 32), 7)
    foreign = Outpoint(stage.bitcoin.put(transaction(spends=[elsewhere], outputs=[(b"\x6a", 1)])), 0)
    stage.bitcoin.mine()
    stage.bitcoin.put(transaction(spends=[foreign], outputs=[(b"\x6a", 1)]))
    stage.bitcoin.mine()
    await stage.watch()
    assert not stage.custody.account.halts
    assert deposits(stage) == []


async def test_ether_paid_before_the_account_is_active_is_credited_once_it_is() -> None:
    stage = Stage(active=False)
    stage.custody.pin()
    stage.custody.create_account()
    stage.custody.make_keys()
    stage.custody.prepare()
    await stage.watch()
    stage.ethereum.pay(stage.world.account.ethereum.address, ETH)
    stage.ethereum.mine(stage.ethereum.final_behind + 1)
    await stage.watch()
    assert stage.custody.balances(Asset.ETH).confirmed == 0
    stage.custody.sign_by_parties()
    stage.custody.cosign()
    stage.custody.prove()
    stage.custody.do(onboarding.activate, onboarding.ActivateAccount(account=stage.custody.account_id))
    stage.ethereum.mine(stage.ethereum.final_behind + 1)
    await stage.watch()
    assert stage.custody.balances(Asset.ETH).available == ETH
    assert not stage.custody.account.halts
