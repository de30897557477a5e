"""Blocks of Bitcoin: coins appear, are spent by our attempts or by nobody we know, grow deep, settle."""

from collections.abc import Sequence
from dataclasses import replace

from custody.application import arrivals, settlement
from custody.application.access import existing_account, policy_in_force
from custody.application.ports.store import UnitOfWork
from custody.domain.account import AccountState
from custody.domain.chain_view import BlockRef
from custody.domain.deposit import BitcoinBlock, BitcoinMovement, Coin, CoinOrigin, Outpoint
from custody.domain.withdrawal import Confirmation
from custody.domain.withdrawal_states import WithdrawalState
from signers.statements.amounts import Asset
from signers.statements.identifiers import AccountId, Seconds


def add(uow: UnitOfWork, blocks: Sequence[BitcoinBlock], *, now: Seconds) -> None:
    """Add blocks, then credit and settle by the depth that the new tip gives, if the policy accepts it."""
    for block in blocks:
        for movement in block.movements:
            _move(uow, movement, block.block, now=now)
    uow.add_blocks(Asset.BTC, [block.block for block in blocks])
    tip, policy = uow.tip(Asset.BTC), policy_in_force(uow).policy
    if tip is None or Asset.BTC not in policy.eligible:
        return
    terms = policy.terms_of(Asset.BTC)
    # A block at the tip has one confirmation.
    for deposit in uow.pending_deposits(Asset.BTC, up_to=tip.height - terms.confirmations + 1):
        # Before its account is active nobody has proven that it can be spent from: until then it waits.
        if existing_account(uow, deposit.account).state is AccountState.ACTIVE:
            arrivals.credit(uow, deposit, now=now)
    final = tip.height - terms.finality_depth + 1
    for withdrawal in uow.withdrawals_in({WithdrawalState.CONFIRMING}, asset=Asset.BTC):
        if withdrawal.confirmation is not None and withdrawal.confirmation.block.height <= final:
            settlement.settle(uow, withdrawal, now=now)


def _move(uow: UnitOfWork, movement: BitcoinMovement, block: BlockRef, *, now: Seconds) -> None:
    spent = [coin for outpoint in movement.spends if (coin := uow.coin(outpoint)) is not None]
    for coin in spent:
        uow.save_coin(replace(coin, spent_by=movement.txid, spent_at=block))
    spenders = {coin.account for coin in spent}
    for account in sorted(spenders):
        _account_for_spend(uow, account, movement, block, now=now)
    for output in movement.outputs:
        outpoint = Outpoint(movement.txid, output.index)
        # What returns to the account that paid is its change. Anything else that arrives is a deposit, also
        # from another account of ours.
        change = output.account in spenders
        before = uow.coin(outpoint)
        uow.save_coin(
            Coin(
                outpoint=outpoint,
                account=output.account,
                amount=output.amount,
                origin=CoinOrigin.CHANGE if change else CoinOrigin.DEPOSIT,
                block=block,
                planned_for=before.planned_for if before else None,
            )
        )
        if not change and output.amount:
            arrivals.see(
                uow,
                output.account,
                output.amount,
                block,
                reference=str(outpoint),
                outpoint=outpoint,
                now=now,
            )


def _account_for_spend(
    uow: UnitOfWork, account: AccountId, movement: BitcoinMovement, block: BlockRef, *, now: Seconds
) -> None:
    """Coins left: in an attempt of ours, or the account is halted."""
    ours = settlement.attempt_of(uow, account, movement.txid, now=now)
    if ours is None:
        return
    withdrawal, attempt = ours
    confirmation = Confirmation(attempt=attempt.number, block=block, paid=withdrawal.amount, fee=attempt.fee)
    settlement.confirm(uow, withdrawal, confirmation, now=now)
