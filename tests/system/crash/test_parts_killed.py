"""The parts that custody depends on are killed while a withdrawal of each asset needs them."""

import asyncio
from typing import Any

import pytest

from custody.workers.withdrawal_driver import REBROADCAST_SECONDS
from deploy.localnet.demo.payout import FINALITY_BLOCKS, TIMELOCK_BLOCKS, Payout, look, reach
from deploy.localnet.demo.stage import ACCOUNT, refused, state, until
from signers.statements.amounts import Sats, Wei
from tests.system.crash.outage import bring_back, kill
from tests.system.crash.scene import Scene, ask_for, consent, insist
from tests.system.crash.verdict import require_paid_once

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="package")]


async def signing(scene: Scene, *payouts: Payout) -> None:
    """Bring them to SIGNING, where they stay until there are blocks: the signers' timelock counts them."""
    for payout in payouts:
        await ask_for(scene.stage, payout)
        await consent(scene.stage, payout)
    for payout in payouts:
        await reach(scene.stage, payout, "SIGNING")


async def settle(scene: Scene, *payouts: Payout) -> None:
    for payout in payouts:
        await scene.stage.mine(payout.asset, 1 + FINALITY_BLOCKS[payout.asset])
    await require_paid_once(scene, *payouts)


async def test_a_signer_and_an_openbao_killed_while_signing(scene: Scene) -> None:
    """Two of three Bitcoin keys are out of reach, and the only Ethereum key: nothing leaves before."""
    stage, net = scene.stage, scene.net
    bitcoin, _ = payouts = scene.payouts()
    await signing(scene, *payouts)
    await asyncio.to_thread(kill, net, ["signer-1", "openbao-2"])
    for payout in payouts:
        await stage.mine(payout.asset, TIMELOCK_BLOCKS)
    await until(
        lambda: look(stage, bitcoin),
        lambda withdrawal: [r.signer for r in withdrawal.receipts if r.act == r.ACT_SIGNED] == ["signer-3"],
        what="the one signature that can be had",
    )
    for payout in payouts:
        assert state(await look(stage, payout)) == "SIGNING"
    await asyncio.to_thread(bring_back, net, ["signer-1", "openbao-2"])
    for payout in payouts:
        await reach(stage, payout, "BROADCAST")
    assert net.signers[2].process.is_running, "it outlives its OpenBao"
    await settle(scene, *payouts)


async def test_bitcoind_killed_while_signing_and_with_custody_once_it_has_the_transaction(
    scene: Scene,
) -> None:
    """Its mempool is lost with it, so custody broadcasts again what is on record."""
    stage, net = scene.stage, scene.net
    bitcoin, ethereum = payouts = scene.payouts()
    await signing(scene, *payouts)
    await stage.mine(bitcoin.asset, TIMELOCK_BLOCKS)
    await asyncio.to_thread(kill, net, ["bitcoind"])
    await stage.mine(ethereum.asset, TIMELOCK_BLOCKS)
    await reach(stage, ethereum, "BROADCAST")
    assert state(await look(stage, bitcoin)) == "SIGNING"
    await asyncio.to_thread(bring_back, net, ["bitcoind"])
    sent = await reach(stage, bitcoin, "BROADCAST")
    transaction_id = sent.attempts[-1].transaction_id
    assert net.bitcoind.mempool() == {transaction_id}
    await asyncio.to_thread(kill, net, ["bitcoind", "custody"])
    await asyncio.to_thread(bring_back, net, ["bitcoind"])
    assert net.bitcoind.mempool() == set()
    await asyncio.to_thread(bring_back, net, ["custody"])
    await until(
        lambda: asyncio.to_thread(net.bitcoind.mempool),
        lambda mempool: transaction_id in mempool,
        what="custody to broadcast again",
    )
    await settle(scene, *payouts)


async def test_nothing_is_lent_against_a_chain_that_custody_does_not_see(scene: Scene) -> None:
    """One of the two chains is silent: it alone lends nothing, and what stands resolves all the same."""
    stage, net = scene.stage, scene.net
    engine, bitcoin, ether = stage.margin_engine, Sats(10_000), Wei(10**15)
    await insist(lambda: engine.reserve(ACCOUNT, "before-btc", bitcoin))
    await asyncio.to_thread(kill, net, ["bitcoind", "custody"])
    await asyncio.to_thread(bring_back, net, ["custody"])
    await insist(lambda: engine.reserve(ACCOUNT, "meanwhile-eth", ether))
    error = await refused(engine.reserve(ACCOUNT, "meanwhile-btc", bitcoin))
    assert (error.reason, error.metadata) == ("PRICES_STALE", {"status": "disputed"})
    assert state(await engine.void(ACCOUNT, "before-btc")) == "VOIDED"
    await asyncio.to_thread(bring_back, net, ["bitcoind"])
    await insist(lambda: engine.reserve(ACCOUNT, "after-btc", bitcoin))
    for lien in ("meanwhile-eth", "after-btc"):
        await engine.void(ACCOUNT, lien)


@pytest.mark.slow
async def test_what_the_mempools_lose_is_broadcast_again(scene: Scene) -> None:
    """Only the nodes are killed: custody finds out by itself, within a minute."""
    stage, net = scene.stage, scene.net
    payouts = scene.payouts()
    await signing(scene, *payouts)
    for payout in payouts:
        await stage.mine(payout.asset, TIMELOCK_BLOCKS)
        await reach(stage, payout, "BROADCAST")
    await asyncio.to_thread(kill, net, ["bitcoind", "anvil"])
    await asyncio.to_thread(bring_back, net, ["bitcoind", "anvil"])
    for mempool in (net.bitcoind.mempool, net.anvil.mempool):
        assert mempool() == set()
        await until(
            lambda mempool=mempool: asyncio.to_thread(mempool),  # type: ignore[misc] # a default binds it
            lambda waiting: len(waiting) == 1,
            what="custody to broadcast again",
            seconds=2 * REBROADCAST_SECONDS,
        )
    await settle(scene, *payouts)


@pytest.mark.slow
async def test_a_second_payment_would_be_seen(scene: Scene) -> None:
    """The verdict itself: somebody else pays the same amount to the same wallet once more."""
    stage, net = scene.stage, scene.net
    bitcoin, _ = payouts = scene.payouts()
    await signing(scene, *payouts)
    for payout in payouts:
        await stage.mine(payout.asset, TIMELOCK_BLOCKS)
        await reach(stage, payout, "BROADCAST")
    await settle(scene, *payouts)
    wallet: Any = stage.wallets[bitcoin.asset]
    address = net.bitcoind.call("decodescript", wallet.destination.script_pubkey)["address"]
    await asyncio.to_thread(net.bitcoind.send, address=address, amount_sats=bitcoin.amount.units)
    await stage.mine(bitcoin.asset)
    with pytest.raises(AssertionError, match="paid 2 times"):
        await require_paid_once(scene, bitcoin)
