"""What must hold after any crash: paid exactly once, by the chain's own word, and a right ledger."""

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from custody.domain.withdrawal_states import OPEN
from deploy.localnet.demo.payout import Payout, Settled, reach
from deploy.localnet.demo.reconciling import books_of, require_agreement
from deploy.localnet.demo.stage import ACCOUNT, Stage, state
from signers.statements.amounts import Amount, Asset
from signers.statements.intent import NonceAnchor, OutpointAnchor
from tests.system.crash.scene import Scene


@dataclass(frozen=True, kw_only=True)
class Spend:
    """A transaction of the chain that spends an anchor.

    Attributes:
        paid: what it pays to the destination, output by output.
        fee: what it cost.
    """

    transaction_id: str
    paid: tuple[int, ...]
    fee: int


async def require_paid_once(scene: Scene, *payouts: Payout) -> None:
    """Each payout is settled, stands on its chain exactly once, and the ledger says what the chains say."""
    stage = scene.stage
    for payout in payouts:
        withdrawal = await reach(stage, payout, "SETTLED")
        intent = await stage.auditor.intent(ACCOUNT, payout.name)
        (spend,) = await asyncio.to_thread(_spends, stage, intent.anchor)
        assert spend.paid == (payout.amount.units,)
        arrivals = await asyncio.to_thread(_arrivals, stage, payout.amount)
        assert arrivals == 1, f"{payout.name} was paid {arrivals} times"
        assert spend.transaction_id == withdrawal.attempts[-1].transaction_id
        fee = type(payout.amount)(spend.fee)
        assert 0 < fee.units <= payout.fee_cap.units
        left = Settled(amount=payout.amount, fee=fee, transaction_id=spend.transaction_id)
        scene.settled[payout.asset].append(left)
    for asset in Asset:
        await require_agreement(stage, asset, scene.settled[asset])
        await _require_right_books(scene, asset)
    account = await stage.auditor.account(ACCOUNT)
    assert (state(account), account.halt_reason) == ("ACTIVE", "")
    open_states = {each.name for each in OPEN}
    withdrawals = await stage.auditor.withdrawals(ACCOUNT)
    assert [each.name for each in withdrawals if state(each) in open_states] == []


async def _require_right_books(scene: Scene, asset: Asset) -> None:
    """Nothing is held, pending or short any more; what left was posted apart from what it cost."""
    books = await books_of(scene.stage, asset)
    assert sum(books.values()) == 0
    standing = {book for book, units in books.items() if units}
    assert standing <= {"external", "available", "network_fees"}, books
    assert books["external"] < 0 < books["available"]
    assert books["network_fees"] == sum(each.fee.units for each in scene.settled[asset])


def _spends(stage: Stage, anchor: OutpointAnchor | NonceAnchor) -> list[Spend]:
    """Every transaction of the whole chain that spends the anchor."""
    if isinstance(anchor, OutpointAnchor):
        spent = (str(anchor.txid), anchor.index)
        return [
            _bitcoin_spend(stage, transaction)
            for transaction in _bitcoin_transactions(stage)
            if spent in {(source.get("txid"), source.get("vout")) for source in transaction["vin"]}
        ]
    return [
        _ethereum_spend(stage, transaction)
        for transaction in _ethereum_transactions(stage)
        if transaction["from"] == stage.ethereum_address.lower()
        and int(transaction["nonce"], 16) == anchor.nonce
    ]


def _arrivals(stage: Stage, amount: Amount) -> int:
    """How often the destination got exactly that, from anybody."""
    if amount.asset is Asset.BTC:
        paid = [_to_destination(stage, transaction) for transaction in _bitcoin_transactions(stage)]
    else:
        paid = [
            _ethereum_spend(stage, transaction).paid
            for transaction in _ethereum_transactions(stage)
            if transaction["to"] == _ethereum_destination(stage)
        ]
    return [units for each in paid for units in each].count(amount.units)


def _bitcoin_transactions(stage: Stage) -> list[Any]:
    bitcoind = stage.net.bitcoind
    hashes = (bitcoind.call("getblockhash", height) for height in range(1, bitcoind.height() + 1))
    return [transaction for name in hashes for transaction in bitcoind.call("getblock", name, 2)["tx"]]


def _bitcoin_spend(stage: Stage, transaction: Any) -> Spend:
    return Spend(
        transaction_id=transaction["txid"],
        paid=_to_destination(stage, transaction),
        fee=_sats(transaction["fee"]),
    )


def _to_destination(stage: Stage, transaction: Any) -> tuple[int, ...]:
    wallet: Any = stage.wallets[Asset.BTC]
    script = wallet.destination.script_pubkey
    return tuple(
        _sats(output["value"]) for output in transaction["vout"] if output["scriptPubKey"]["hex"] == script
    )


def _sats(value: Decimal) -> int:
    return int(value * 10**8)


def _ethereum_transactions(stage: Stage) -> list[Any]:
    anvil = stage.net.anvil
    whole = True
    blocks = (anvil.call("eth_getBlockByNumber", hex(height), whole) for height in range(anvil.height() + 1))
    return [transaction for block in blocks for transaction in block["transactions"]]


def _ethereum_spend(stage: Stage, transaction: Any) -> Spend:
    receipt = stage.net.anvil.call("eth_getTransactionReceipt", transaction["hash"])
    arrived = receipt["status"] == "0x1" and transaction["to"] == _ethereum_destination(stage)
    return Spend(
        transaction_id=transaction["hash"].removeprefix("0x"),
        paid=(int(transaction["value"], 16),) if arrived else (),
        fee=int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16),
    )


def _ethereum_destination(stage: Stage) -> str:
    wallet: Any = stage.wallets[Asset.ETH]
    return f"0x{wallet.destination.address}"
