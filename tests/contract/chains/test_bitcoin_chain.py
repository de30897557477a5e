"""`BitcoinChain`: what every implementation does."""

import hashlib

import pytest
from bitcoin.core import CMutableTransaction, CTxInWitness, CTxWitness
from bitcoin.core.script import OP_2DROP, OP_TRUE, CScript, CScriptWitness

from custody.adapters.bitcoin_node import BitcoinNode
from custody.adapters.bitcoin_nodes import BitcoinNodes
from custody.application.ports.chains import (
    BitcoinWatch,
    BlockNotFound,
    BroadcastRejected,
    FeeTooLow,
    TransactionNotFound,
    WrongNetwork,
    outpoint_wire,
)
from signers.statements.amounts import Sats
from signers.statements.identifiers import ScriptPubKey, TxId
from signers.statements.network import Network
from tests.contract.chains.bitcoin_chains import BitcoinHarness, RealBitcoinHarness, fresh_script, id_of
from tests.contract.chains.conftest import Nodes
from tests.unit.custody.adapters.blocks import transaction

UNKNOWN = TxId("5e" * 32)


async def test_blocks_stand_on_each_other_up_to_the_tip(bitcoin: BitcoinHarness) -> None:
    bitcoin.mine(2)
    tip = await bitcoin.chain.tip()
    below = await bitcoin.chain.block_at(tip.height - 1)
    assert await bitcoin.chain.block_at(tip.height) == tip
    assert tip.parent == below.block_hash
    with pytest.raises(BlockNotFound):
        await bitcoin.chain.block_at(tip.height + 1)


async def test_an_arrival_and_its_spend_are_activity(bitcoin: BitcoinHarness) -> None:
    script = fresh_script()
    outpoint = bitcoin.pay(script, 123_456)
    bitcoin.mine()
    block = await bitcoin.chain.tip()
    nothing = await bitcoin.chain.activity(block, BitcoinWatch(scripts={fresh_script()}, outpoints=set()))
    assert nothing.transactions == ()
    found = await bitcoin.chain.activity(block, BitcoinWatch(scripts={script}, outpoints=set()))
    (only,) = found.transactions
    assert found.block == block
    assert only.txid == outpoint.txid
    assert [(a.outpoint, a.script, a.amount) for a in only.arrivals] == [
        (outpoint, ScriptPubKey(script.hex()), Sats(123_456))
    ]


async def test_a_spend_of_a_watched_outpoint_is_activity(bitcoin: BitcoinHarness) -> None:
    raw, _ = bitcoin.unsent(fresh_script(), 50_000)
    await bitcoin.chain.broadcast(raw)
    bitcoin.mine()
    everything = BitcoinWatch(scripts=set(), outpoints={raw_outpoint(raw)})
    found = await bitcoin.chain.activity(await bitcoin.chain.tip(), everything)
    (only,) = found.transactions
    assert only.txid == id_of(raw)
    assert {outpoint_wire(each) for each in only.spends} == {raw_outpoint(raw)}


def raw_outpoint(raw: bytes) -> bytes:
    """The first input's outpoint of a serialised transaction."""
    start = 7 if raw[4] == 0 else 5
    return raw[start : start + 36]


async def test_a_transaction_is_read_by_its_block_or_from_the_mempool(bitcoin: BitcoinHarness) -> None:
    outpoint = bitcoin.pay(fresh_script(), 20_000)
    waiting = await bitcoin.chain.raw_transaction(outpoint.txid)
    assert id_of(waiting) == outpoint.txid
    assert waiting[4] != 0, "the marker of witnesses (BIP-144)"
    bitcoin.mine()
    tip = await bitcoin.chain.tip()
    assert await bitcoin.chain.raw_transaction(outpoint.txid, block=tip.block_hash) == waiting
    with pytest.raises(TransactionNotFound):
        await bitcoin.chain.raw_transaction(UNKNOWN)


@pytest.mark.system
async def test_a_transaction_longer_than_nodes_relay_comes_without_its_witnesses(nodes: Nodes) -> None:
    """Any miner may include it, and so pay an account with more bytes than a signer takes."""
    harness = RealBitcoinHarness(nodes.bitcoind())
    drops = 200  # of two items of 520 bytes each: as much as consensus lets one script take
    script = CScript([OP_2DROP] * drops + [OP_TRUE])
    coin = harness.pay(b"\x00\x20" + hashlib.sha256(script).digest(), 50_000)
    harness.mine()
    filler = (b"\x6a" + bytes(300_000), 0)
    made = CMutableTransaction.from_tx(transaction(spends=[coin], outputs=[(fresh_script(), 40_000), filler]))
    items = [bytes(520)] * (2 * drops)
    made.wit = CTxWitness([CTxInWitness(CScriptWitness([*items, script]))])
    raw = made.serialize()
    harness.bitcoind.call("generateblock", f"raw({script.hex()})", [raw.hex()])
    shown = await harness.chain.raw_transaction(id_of(raw), block=(await harness.chain.tip()).block_hash)
    harness.close()
    assert len(shown) < 301_000 < 500_000 < len(raw)
    assert id_of(shown) == id_of(raw)


async def test_a_reorganisation_changes_the_blocks(bitcoin: BitcoinHarness) -> None:
    bitcoin.mine(3)
    before = await bitcoin.chain.tip()
    bitcoin.reorg(2)
    after = await bitcoin.chain.tip()
    assert after.height == before.height + 1
    assert await bitcoin.chain.block_at(before.height) != before
    assert (await bitcoin.chain.block_at(before.height - 2)).height == before.height - 2


async def test_broadcast_twice_is_broadcast_once_also_after_it_was_mined(bitcoin: BitcoinHarness) -> None:
    raw, _ = bitcoin.unsent(fresh_script(), 60_000)
    assert await bitcoin.chain.broadcast(raw) == id_of(raw)
    assert await bitcoin.chain.broadcast(raw) == id_of(raw)
    bitcoin.mine()
    assert await bitcoin.chain.broadcast(raw) == id_of(raw)


async def test_a_second_spend_of_a_coin_is_rejected(bitcoin: BitcoinHarness) -> None:
    raw, conflicting = bitcoin.unsent(fresh_script(), 60_000)
    await bitcoin.chain.broadcast(raw)
    bitcoin.mine()
    with pytest.raises(BroadcastRejected) as refused:
        await bitcoin.chain.broadcast(conflicting)
    assert not isinstance(refused.value, FeeTooLow)


async def test_what_stood_in_a_block_that_was_replaced_is_not_known(bitcoin: BitcoinHarness) -> None:
    """A node's index still names that block: a payout that another spend has overtaken is refused all the
    same."""
    raw, conflicting = bitcoin.unsent(fresh_script(), 60_000)
    await bitcoin.chain.broadcast(raw)
    bitcoin.mine()
    bitcoin.reorg(1, drop=id_of(raw))
    await bitcoin.chain.broadcast(conflicting)
    bitcoin.mine()
    with pytest.raises(BroadcastRejected):
        await bitcoin.chain.broadcast(raw)


async def test_a_fee_below_what_nodes_take_is_refused_as_such(bitcoin: BitcoinHarness) -> None:
    with pytest.raises(FeeTooLow):
        await bitcoin.chain.broadcast(bitcoin.free_of_charge(fresh_script()))


async def test_a_replacement_pays_more_than_what_it_replaces(bitcoin: BitcoinHarness) -> None:
    lower, higher = bitcoin.unsent(fresh_script(), 60_000)
    await bitcoin.chain.broadcast(higher)
    with pytest.raises(FeeTooLow):
        await bitcoin.chain.broadcast(lower)


async def test_a_fee_rate_is_at_least_what_nodes_relay(bitcoin: BitcoinHarness) -> None:
    assert (await bitcoin.chain.fee_rate(target_blocks=6)).sats_per_kvb >= 100


async def test_unspent_outputs_are_those_of_the_scripts_at_the_tip(bitcoin: BitcoinHarness) -> None:
    script, other = fresh_script(), fresh_script()
    outpoint = bitcoin.pay(script, 77_777)
    bitcoin.mine()
    tip = await bitcoin.chain.tip()
    found = await bitcoin.chain.unspent([ScriptPubKey(script.hex()), ScriptPubKey(other.hex())])
    assert found.block == tip.ref
    assert [(each.outpoint, each.amount) for each in found.outputs] == [(outpoint, Sats(77_777))]


@pytest.mark.system
async def test_a_node_of_another_network_is_refused(nodes: Nodes) -> None:
    real = RealBitcoinHarness(nodes.bitcoind())
    wrong = BitcoinNodes([BitcoinNode(real.rpc, network=Network.MAINNET)], needed=1)
    for use in (
        wrong.tip(),
        wrong.broadcast(real.unsent(fresh_script(), 9000)[0]),
    ):
        with pytest.raises(WrongNetwork):
            await use
    real.close()
