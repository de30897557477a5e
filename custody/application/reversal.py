"""A reorganisation: everything that blocks above the fork did is taken back, newest first."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from custody.application import accounts, arrivals, settlement
from custody.application.ports.store import UnitOfWork
from custody.domain.account import AccountState, Halt
from custody.domain.chain_view import BlockRef
from custody.domain.deposit import Coin
from custody.domain.withdrawal import Withdrawal
from custody.domain.withdrawal_states import WithdrawalState
from signers.statements.amounts import Asset, Wei
from signers.statements.identifiers import Seconds


def undo_above(uow: UnitOfWork, asset: Asset, base: BlockRef, *, now: Seconds) -> None:
    """Take back what blocks above `base` did.

    Withdrawals first: reopening one puts its units back under its hold before the deposits they came from go.
    """
    height = base.height
    reopened = uow.withdrawals_confirmed_above(asset, height)
    for withdrawal in reopened:
        settlement.reopen(uow, withdrawal, now=now)
    for deposit in uow.deposits_above(asset, height):
        arrivals.reverse(uow, deposit, now=now)
    if asset is Asset.BTC:
        for coin in uow.coins_above(height):
            uow.save_coin(_before(coin, height))
    else:
        _undo_finality(uow, base, reopened, now=now)
    uow.drop_blocks_above(asset, height)


def _before(coin: Coin, height: int) -> Coin:
    """The coin as it stood at `height`."""
    if coin.spent_at is not None and coin.spent_at.height > height:
        coin = replace(coin, spent_by=None, spent_at=None)
    if coin.block is not None and coin.block.height > height:
        coin = replace(coin, block=None)
    return coin


def _undo_finality(uow: UnitOfWork, base: BlockRef, reopened: Sequence[Withdrawal], *, now: Seconds) -> None:
    """A fork below the finalised block: the chain broke its word, and every account stops."""
    finalised = uow.finalised()
    if finalised is None or finalised.height <= base.height:
        return
    uow.save_finalised(base)
    unsettled = Counter(w.account for w in reopened if w.state is WithdrawalState.SETTLED)
    for account in uow.accounts_in({AccountState.ACTIVE}):
        last = uow.finalised_balance(account.account)
        if last is not None and last.block.height > base.height:
            # What was proven stood in a block that went; by the ledger the address holds what is credited.
            held = Wei(max(0, uow.balances(account.account, Asset.ETH).confirmed))
            nonce = last.nonce - unsettled[account.account]
            uow.save_finalised_balance(replace(last, block=base, balance=held, nonce=nonce))
        accounts.halt(uow, account.account, Halt.FINALITY_REORG, now=now)
