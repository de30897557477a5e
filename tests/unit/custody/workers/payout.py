"""A withdrawal on a stage, brought to where a test begins, and what it must have come to."""

from custody.domain.withdrawal import Withdrawal
from custody.domain.withdrawal_states import WithdrawalState
from signers.statements.allowlist import BitcoinDestination, EthereumDestination
from signers.statements.amounts import Asset
from tests.factories import BTC, ETH
from tests.unit.custody.workers.stage import Stage

MOMENTS_MAX = 400


async def planned(stage: Stage) -> Withdrawal:
    """The intent is fixed; nobody has signed it."""
    await stage.watch()
    await stage.drive()
    return stage.present(Asset.BTC)


async def journey(stage: Stage, asset: Asset) -> None:
    """Everything between a request and its settlement; each part may have happened already."""
    await stage.watch()
    await stage.drive()
    if stage.state(asset) is WithdrawalState.AWAITING_SIGNATURES:
        stage.custody.publish_prices()
        stage.custody.agree(stage.present(asset))
    await stage.drive()
    stage.pass_time(700)
    await stage.drive()
    await stage.settle(asset)


async def funded(asset: Asset) -> Stage:
    stage = Stage()
    await stage.fund()
    stage.request(asset)
    return stage


def paid_out(stage: Stage, asset: Asset) -> list[int]:
    """What arrived at the destination, payout by payout."""
    destination = stage.world.destination(asset)
    if isinstance(destination, BitcoinDestination):
        return stage.bitcoin.paid_to(destination.script_pubkey.raw)
    assert isinstance(destination, EthereumDestination)
    balance = stage.ethereum.balance(destination.address)
    return [balance] if balance else []


def stands_at_the_account(stage: Stage, asset: Asset) -> int:
    """By the chain."""
    if asset is Asset.ETH:
        return stage.ethereum.balance(stage.world.account.ethereum.address)
    return sum(
        coin.amount.units for coin in stage.custody.ask(lambda uow: uow.coins(stage.custody.account_id))
    )


def assert_paid_once(stage: Stage, asset: Asset) -> None:
    half, whole = (BTC // 2, BTC) if asset is Asset.BTC else (ETH // 2, 2 * ETH)
    withdrawal, books = stage.present(asset), stage.custody.balances(asset)
    assert withdrawal.state is WithdrawalState.SETTLED
    assert paid_out(stage, asset) == [half]
    assert books.withdrawing == books.pending == books.reorg_shortfall == 0
    assert books.network_fees > 0
    assert books.available == whole - half - books.network_fees == stands_at_the_account(stage, asset)
    assert not stage.custody.account.halts


async def announced(stage: Stage, asset: Asset) -> None:
    """From funded to the running timelock."""
    await stage.watch()
    await stage.drive()
    stage.custody.agree(stage.present(asset))
    await stage.drive()
    assert stage.state(asset) is WithdrawalState.TIMELOCKED
