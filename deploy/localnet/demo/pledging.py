"""Journey 2: coins arrive, a reorganisation takes them back, they arrive again, and count."""

import asyncio
from typing import Any, Final

from deploy.localnet.demo.stage import ACCOUNT, PATIENCE_SECONDS, Stage, state, until
from signers.statements.amounts import Amount, Asset, Sats, Wei
from signers.statements.report import AssetPosition, Report, ValueStatus

PLEDGED: Final[dict[Asset, Amount]] = {Asset.BTC: Sats(150_000_000), Asset.ETH: Wei(12 * 10**18)}
_FLEETING: Final[dict[Asset, Amount]] = {Asset.BTC: Sats(70_000_000), Asset.ETH: Wei(3 * 10**18)}
_CREDIT_BLOCKS: Final = {Asset.BTC: 6, Asset.ETH: 3}


async def pledge(stage: Stage) -> None:
    """Both assets."""
    stage.record.chapter("2. Pledge")
    for asset in Asset:
        await _reverse_by_reorg(stage, asset)
        await _credit(stage, asset)
    await _read_report(stage)


async def _reverse_by_reorg(stage: Stage, asset: Asset) -> None:
    """A deposit that has not been credited disappears with its block."""
    with stage.record.step(f"{asset}: a reorganisation reverses a pending deposit") as evidence:
        amount = _FLEETING[asset]
        txid = await _send(stage, asset, amount)
        await stage.mine(asset)
        seen = await _deposit(stage, amount, "PENDING")
        chain = stage.net.bitcoind if asset is Asset.BTC else stage.net.anvil
        new_blocks = await asyncio.to_thread(chain.reorg, 1, drop=[txid])
        reversed_ = await _deposit(stage, amount, "REVERSED")
        position = await position_of(stage, asset, lambda each: not each.pending and not each.confirmed)
        evidence |= {
            "txid": _as_the_api_writes(txid),
            "units": str(amount.units),
            "height": seen.block_height,
            "block_hash": seen.block_hash,
            "replaced_by": _as_the_api_writes(new_blocks[0]),
            "deposit": reversed_.name,
            "confirmed_after": str(position.confirmed.units),
            "pending_after": str(position.pending.units),
        }


async def _credit(stage: Stage, asset: Asset) -> None:
    """A deposit counts after six confirmations (BTC) or at finality (ETH)."""
    with stage.record.step(f"{asset}: a deposit is seen, confirmed and credited") as evidence:
        txid, credited = await deposit(stage, asset)
        evidence |= {
            "txid": _as_the_api_writes(txid),
            "units": str(PLEDGED[asset].units),
            "height": credited.block_height,
            "block_hash": credited.block_hash,
        }


async def deposit(stage: Stage, asset: Asset) -> tuple[str, Any]:
    """What is pledged arrives, and is credited once it is deep enough: its transaction, the deposit."""
    amount = PLEDGED[asset]
    txid = await _send(stage, asset, amount)
    await stage.mine(asset)
    await _deposit(stage, amount, "PENDING")
    await stage.mine(asset, _CREDIT_BLOCKS[asset])
    return txid, await _deposit(stage, amount, "CREDITED")


async def _read_report(stage: Stage) -> None:
    """The margin engine hears of it, and verifies what it hears."""
    with stage.record.step("the margin engine's stream shows signed lending value") as evidence:
        async with asyncio.timeout(PATIENCE_SECONDS):
            report = await _first_good(stage)
        for position in report.positions:
            asset = position.asset
            if position.confirmed != PLEDGED[asset]:
                raise AssertionError(f"{position.confirmed} reported, {PLEDGED[asset]} pledged")
            evidence[f"{asset}_confirmed"] = str(position.confirmed.units)
            evidence[f"{asset}_lending_value_e8"] = str(position.lending_value)
            evidence[f"{asset}_block_hash"] = position.seen_at.block_hash
            stage.record.say(
                f"{position.confirmed}, haircut {position.haircut_bps / 100:.0f} %, "
                f"lends {position.lending_value.units / 10**8:,.2f} {report.currency}"
            )
        prices = await stage.margin_engine.verified_prices()
        lends = stage.margin_engine.lending_value(report, prices)
        if not lends.units:
            raise AssertionError("nothing can be lent at the publishers' own prices")
        evidence |= {"report_digest": report.digest, "lending_value_e8": str(lends)}


async def _first_good(stage: Stage) -> Report:
    """The stream's first report in which everything pledged can be lent against."""
    async for event in stage.margin_engine.watch(ACCOUNT):
        if event.report is not None and all(
            position.status is ValueStatus.OK and position.confirmed for position in event.report.positions
        ):
            return event.report
    raise AssertionError("the stream ended")


async def position_of(stage: Stage, asset: Asset, holds: Any, *, what: str = "a position") -> AssetPosition:
    """The verified position of an asset, once it holds."""

    async def read() -> AssetPosition:
        report = await stage.margin_engine.report(ACCOUNT)
        return next(position for position in report.positions if position.asset is asset)

    return await until(read, holds, what=what)


async def _send(stage: Stage, asset: Asset, amount: Amount) -> str:
    if asset is Asset.BTC:
        return await asyncio.to_thread(
            stage.net.bitcoind.send, address=stage.bitcoin_address, amount_sats=amount.units
        )
    return await asyncio.to_thread(
        stage.net.anvil.send, address=stage.ethereum_address, amount_wei=amount.units
    )


def _as_the_api_writes(digest: str) -> str:
    """An Ethereum node writes 0x before a hash; evidence has one spelling for both chains."""
    return digest.removeprefix("0x")


async def _deposit(stage: Stage, amount: Amount, wanted: str) -> Any:
    """The deposit of that amount, once it is in the wanted state."""

    async def read() -> list[Any]:
        deposits = await stage.pledgor.deposits(ACCOUNT)
        return [d for d in deposits if d.amount.units == str(amount.units) and state(d) == wanted]

    return (await until(read, bool, what=f"a deposit of {amount} to be {wanted}"))[0]
