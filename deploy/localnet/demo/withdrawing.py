"""Journey 5: coins leave only when everybody entitled has signed, and then exactly once."""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from deploy.localnet.demo.lying_custody import ask_for_another_destination
from deploy.localnet.demo.onboarding import DESTINATIONS
from deploy.localnet.demo.stage import ACCOUNT, Stage, refused, state, until
from signers.statements.amounts import Amount, Asset, Sats, Wei
from signers.statements.intent import Intent

_FEE_CAPS: Final[dict[Asset, Amount]] = {Asset.BTC: Sats(50_000), Asset.ETH: Wei(10**16)}
AMOUNTS: Final[dict[Asset, Amount]] = {Asset.BTC: Sats(40_000_000), Asset.ETH: Wei(4 * 10**18)}
_TOO_MUCH: Final[dict[Asset, Amount]] = {Asset.BTC: Sats(145_000_000), Asset.ETH: Wei(12 * 10**18)}
_FINALITY_BLOCKS: Final = {Asset.BTC: 6, Asset.ETH: 3}


@dataclass(frozen=True)
class Settled:
    """What left."""

    amount: Amount
    fee: Amount
    transaction_id: str


async def withdraw(stage: Stage, asset: Asset) -> Settled:
    """One withdrawal, from the refused one that asks for too much to the settled one."""
    stage.record.chapter(f"5. Withdraw {asset}")
    name = f"payout-{asset.lower()}"
    with stage.record.step(f"{asset}: more than is free is refused") as evidence:
        error = await refused(_request(stage, f"{name}-too-much", asset, _TOO_MUCH[asset]))
        evidence |= {"asked": str(_TOO_MUCH[asset].units), "refused": error.reason}
    intent = await _agree(stage, name, asset)
    await _announce(stage, name, asset, intent)
    return await _settle(stage, name, asset)


async def _agree(stage: Stage, name: str, asset: Asset) -> Intent:
    """Maker, secured party and one of two approvers sign; the last signature is left to `_announce`."""
    with stage.record.step(f"{asset}: the pledgor asks, the secured party releases") as evidence:
        await _request(stage, name, asset, AMOUNTS[asset])
        await stage.pledgor.sign_withdrawal(
            ACCOUNT,
            name,
            destination_id=DESTINATIONS[asset],
            amount=AMOUNTS[asset],
            fee_cap=_FEE_CAPS[asset],
        )
        intent = await stage.margin_engine.intent(ACCOUNT, name)
        await stage.margin_engine.release(ACCOUNT, name, intent_digest=intent.digest)
        evidence |= {"withdrawal": name, "intent_digest": intent.digest, "amount": str(intent.amount.units)}
    return intent


async def _announce(stage: Stage, name: str, asset: Asset, intent: Intent) -> None:
    """Two entities approve; every signer must hear of it, so one that is down is waited for."""
    down = stage.net.signers[3]
    with stage.record.step(
        f"{asset}: two entities approve; {down.name} is down, so nobody signs"
    ) as evidence:
        await asyncio.to_thread(down.stop)
        for entity in ("custodian-one", "trustee-one"):
            approver = stage.approvers[entity]
            read = await approver.intent(ACCOUNT, name)
            await approver.approve_withdrawal(ACCOUNT, name, intent_digest=read.digest)
        waiting = await until(
            lambda: stage.pledgor.withdrawal(ACCOUNT, name),
            lambda withdrawal: len(withdrawal.receipts) == 2,
            what="the announcements of two signers",
        )
        evidence |= {"state": state(waiting), "announced_by": [r.signer for r in waiting.receipts]}
        if state(waiting) != "ANNOUNCING":
            raise AssertionError(f"{state(waiting)} although a signer was never told")
    with stage.record.step(f"{asset}: a custody that lies to the signers is refused") as evidence:
        withdrawal = await stage.pledgor.withdrawal(ACCOUNT, name)
        entry = (await stage.pledgor.destination(ACCOUNT, DESTINATIONS[asset])).envelope
        tag = await asyncio.to_thread(ask_for_another_destination, stage.net, withdrawal, intent, entry=entry)
        evidence |= {"refused": tag, "by": "signer-1"}
        stage.record.say(f"signer-1 refuses another destination under the same approvals: {tag}")
    with stage.record.step(f"{asset}: {down.name} is back, every signer has announced") as evidence:
        await asyncio.to_thread(down.start)
        locked = await _reach(stage, name, "TIMELOCKED")
        evidence |= {"announced_by": sorted(receipt.signer for receipt in locked.receipts)}


async def _settle(stage: Stage, name: str, asset: Asset) -> Settled:
    """The timelock passes in time and in blocks; then signed, broadcast, confirmed, posted."""
    with stage.record.step(f"{asset}: after the timelock, signed by the signers and broadcast") as evidence:
        await stage.mine(asset, 2)
        sent = await _reach(stage, name, "BROADCAST")
        attempt = sent.attempts[-1]
        evidence |= {"txid": attempt.transaction_id, "fee_at_most": attempt.fee.units}
    with stage.record.step(f"{asset}: confirmed and settled") as evidence:
        await stage.mine(asset)
        await _reach(stage, name, "CONFIRMING")
        await stage.mine(asset, _FINALITY_BLOCKS[asset])
        settled = await _reach(stage, name, "SETTLED")
        attempt = settled.attempts[-1]
        fee = type(AMOUNTS[asset])(int(attempt.fee.units))
        paid = await asyncio.to_thread(_received, stage, asset, attempt.transaction_id)
        if paid != AMOUNTS[asset].units:
            raise AssertionError(f"the node says {paid} arrived, the intent said {AMOUNTS[asset]}")
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
    return Settled(AMOUNTS[asset], fee, attempt.transaction_id)


async def _request(stage: Stage, name: str, asset: Asset, amount: Amount) -> Any:
    return await stage.pledgor.request_withdrawal(
        ACCOUNT, name, destination_id=DESTINATIONS[asset], amount=amount, fee_cap=_FEE_CAPS[asset]
    )


async def _reach(stage: Stage, name: str, wanted: str) -> Any:
    return await until(
        lambda: stage.pledgor.withdrawal(ACCOUNT, name),
        lambda withdrawal: state(withdrawal) == wanted,
        what=f"{name} to be {wanted}",
        seconds=90.0,
    )


def _received(stage: Stage, asset: Asset, transaction_id: str) -> int:
    """What the destination got, by the node's own word."""
    wallet = stage.wallets[asset]
    if asset is Asset.ETH:
        return stage.net.anvil.balance_wei(f"0x{wallet.destination.address}")  # type: ignore[union-attr]
    transaction = stage.net.bitcoind.call("getrawtransaction", transaction_id, 1)
    script = wallet.destination.script_pubkey  # type: ignore[union-attr]
    values = [out["value"] for out in transaction["vout"] if out["scriptPubKey"]["hex"] == script]
    return sum(round(float(value) * 10**8) for value in values)
