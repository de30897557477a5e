"""Journey 5: coins leave only when everybody entitled has signed, and then exactly once."""

import asyncio
from dataclasses import replace
from typing import Any, Final

from deploy.localnet.demo.lying_custody import ask_for_another_destination
from deploy.localnet.demo.onboarding import DESTINATIONS
from deploy.localnet.demo.payout import (
    APPROVERS,
    FINALITY_BLOCKS,
    TIMELOCK_BLOCKS,
    Payout,
    Settled,
    agree,
    approve,
    look,
    reach,
    receipts,
    request,
)
from deploy.localnet.demo.stage import ACCOUNT, Stage, refused, state, until
from signers.statements.amounts import Amount, Asset, Sats, Wei
from signers.statements.envelope import Envelope
from signers.statements.intent import Intent
from signers.statements.receipt import Act

AMOUNTS: Final[dict[Asset, Amount]] = {Asset.BTC: Sats(40_000_000), Asset.ETH: Wei(4 * 10**18)}
_TOO_MUCH: Final[dict[Asset, Amount]] = {Asset.BTC: Sats(145_000_000), Asset.ETH: Wei(12 * 10**18)}


async def withdraw(stage: Stage, asset: Asset) -> Settled:
    """One withdrawal, from the refused one that asks for too much to the settled one."""
    stage.record.chapter(f"5. Withdraw {asset}")
    payout = Payout(name=f"payout-{asset.lower()}", amount=AMOUNTS[asset])
    with stage.record.step(f"{asset}: more than is free is refused") as evidence:
        too_much = replace(payout, name=f"{payout.name}-too-much", amount=_TOO_MUCH[asset])
        error = await refused(request(stage, too_much))
        evidence |= {"asked": str(too_much.amount.units), "refused": error.reason}
    intent = await _agree(stage, payout)
    await _announce(stage, payout, intent)
    return await _settle(stage, payout)


async def _agree(stage: Stage, payout: Payout) -> Intent:
    """Maker and secured party sign; the approvers' signatures are left to `_announce`."""
    with stage.record.step(f"{payout.asset}: the pledgor asks, the secured party releases") as evidence:
        await request(stage, payout)
        intent = await agree(stage, payout)
        released = await look(stage, payout)
        evidence |= {
            "withdrawal": payout.name,
            "intent_digest": intent.digest,
            "release_digest": Envelope.from_json(released.release_envelope).digest,
            "amount": str(intent.amount.units),
        }
    return intent


async def _announce(stage: Stage, payout: Payout, intent: Intent) -> None:
    """Two entities approve; every signer must hear of it, so one that is down is waited for."""
    asset, down = payout.asset, stage.net.signers[3]
    with stage.record.step(
        f"{asset}: two entities approve; {down.name} is down, so nobody signs"
    ) as evidence:
        await asyncio.to_thread(down.stop)
        for entity in APPROVERS:
            await approve(stage, payout, entity)
        waiting = await until(
            lambda: look(stage, payout),
            lambda withdrawal: len(withdrawal.receipts) == 2,
            what="the announcements of two signers",
        )
        evidence |= {"state": state(waiting), "announced_by": [r.signer for r in waiting.receipts]}
        if state(waiting) != "ANNOUNCING":
            raise AssertionError(f"{state(waiting)} although a signer was never told")
    with stage.record.step(f"{asset}: a custody that lies to the signers is refused") as evidence:
        withdrawal = await look(stage, payout)
        entry = (await stage.pledgor.destination(ACCOUNT, DESTINATIONS[asset])).envelope
        tag = await asyncio.to_thread(ask_for_another_destination, stage.net, withdrawal, intent, entry=entry)
        evidence |= {"refused": tag, "by": "signer-1"}
        stage.record.say(f"signer-1 refuses another destination under the same approvals: {tag}")
    with stage.record.step(f"{asset}: {down.name} is back, every signer has announced") as evidence:
        await asyncio.to_thread(down.start)
        await reach(stage, payout, "TIMELOCKED")
        evidence["receipt_digests"] = await receipts(stage, payout, Act.ANNOUNCED)


async def _settle(stage: Stage, payout: Payout) -> Settled:
    """The timelock passes in time and in blocks; then signed, broadcast, confirmed, posted."""
    asset, amount = payout.asset, payout.amount
    with stage.record.step(f"{asset}: after the timelock, signed by the signers and broadcast") as evidence:
        await stage.mine(asset, TIMELOCK_BLOCKS)
        sent = await reach(stage, payout, "BROADCAST")
        attempt = sent.attempts[-1]
        evidence |= {"txid": attempt.transaction_id, "fee_at_most": attempt.fee.units}
        evidence["receipt_digests"] = await receipts(stage, payout, Act.SIGNED)
    with stage.record.step(f"{asset}: confirmed and settled") as evidence:
        await stage.mine(asset)
        await reach(stage, payout, "CONFIRMING")
        await stage.mine(asset, FINALITY_BLOCKS[asset])
        settled = await reach(stage, payout, "SETTLED")
        attempt = settled.attempts[-1]
        fee = type(amount)(int(attempt.fee.units))
        paid = await asyncio.to_thread(_received, stage, asset, attempt.transaction_id)
        if paid != amount.units:
            raise AssertionError(f"the node says {paid} arrived, the intent said {amount}")
        evidence |= {
            "txid": attempt.transaction_id,
            "height": attempt.block_height,
            "block_hash": attempt.block_hash,
            "arrived": str(paid),
            "fee": attempt.fee.units,
        }
        # The coins are gone and counted nowhere: the secured party stops counting them as leaving.
        await until(
            lambda: stage.margin_engine.settle_releases(ACCOUNT),
            lambda outstanding: not outstanding,
            what="the release to end",
        )
    return Settled(amount=amount, fee=fee, transaction_id=attempt.transaction_id)


def _received(stage: Stage, asset: Asset, transaction_id: str) -> int:
    """What the destination got, by the node's own word."""
    wallet: Any = stage.wallets[asset]
    if asset is Asset.ETH:
        return stage.net.anvil.balance_wei(f"0x{wallet.destination.address}")
    transaction = stage.net.bitcoind.call("getrawtransaction", transaction_id, 1)
    script = wallet.destination.script_pubkey
    values = [out["value"] for out in transaction["vout"] if out["scriptPubKey"]["hex"] == script]
    return sum(round(float(value) * 10**8) for value in values)
