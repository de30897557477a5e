"""At the end: the ledger and the chain say the same, to the last satoshi and wei."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from deploy.localnet.demo.payout import Settled
from deploy.localnet.demo.pledging import PLEDGED, position_of
from deploy.localnet.demo.record import Evidence
from deploy.localnet.demo.stage import ACCOUNT, Stage
from signers.statements.amounts import Asset

_FEES = "network_fees"
_OUTSIDE = {"external", _FEES}


async def reconcile(stage: Stage, settled: Mapping[Asset, Settled]) -> None:
    """Postings, report and node for every address."""
    stage.record.chapter("At the end: ledger = chain")
    for asset, left in settled.items():
        with stage.record.step(f"{asset}: ledger, report and chain agree") as evidence:
            evidence.update(await require_agreement(stage, asset, [left]))


async def require_agreement(stage: Stage, asset: Asset, settled: Sequence[Settled]) -> Evidence:
    """Postings, report and node say the same: what was pledged without what was settled, fees apart.

    Args:
        stage: with the account.
        asset: which.
        settled: everything of it that ever left.

    Returns:
        The figures, in smallest units.

    Raises:
        AssertionError: they do not.
    """
    withdrawn = sum(each.amount.units for each in settled)
    fees = {each.transaction_id: each.fee.units for each in settled}
    expected = PLEDGED[asset].units - withdrawn - sum(fees.values())
    position = await position_of(
        stage, asset, lambda each: each.confirmed.units == expected, what=f"a report of {expected} {asset}"
    )
    books = await books_of(stage, asset)
    ledger = sum(units for book, units in books.items() if book not in _OUTSIDE)
    chain = await asyncio.to_thread(_on_chain, stage, asset)
    if not ledger == chain == expected == position.confirmed.units:
        raise AssertionError(f"ledger {ledger}, chain {chain}, expected {expected}")
    if books[_FEES] != sum(fees.values()):
        raise AssertionError(f"fees posted {books[_FEES]}, paid {fees}")
    return {
        "address": stage.bitcoin_address if asset is Asset.BTC else stage.ethereum_address,
        "pledged": str(PLEDGED[asset].units),
        "withdrawn": str(withdrawn),
        "fees": {transaction: str(fee) for transaction, fee in fees.items()},
        "ledger": str(ledger),
        "chain": str(chain),
    }


async def books_of(stage: Stage, asset: Asset) -> dict[str, int]:
    """Every book's balance, added up from the postings themselves."""
    books: defaultdict[str, int] = defaultdict(int)
    for posting in await stage.auditor.postings(ACCOUNT):
        if _asset(posting) != asset:
            continue
        books[posting.debit] -= int(posting.amount.units)
        books[posting.credit] += int(posting.amount.units)
    return books


def _asset(posting: Any) -> str:
    kind = posting.amount.DESCRIPTOR.fields_by_name["asset"].enum_type
    return str(kind.values_by_number[posting.amount.asset].name).removeprefix("ASSET_")


def _on_chain(stage: Stage, asset: Asset) -> int:
    """What the node has at the account's address."""
    if asset is Asset.ETH:
        return stage.net.anvil.balance_wei(stage.ethereum_address)
    found = stage.net.bitcoind.call("scantxoutset", "start", [f"addr({stage.bitcoin_address})"])
    total: Decimal = found["total_amount"]
    return int(total * 10**8)
