"""Blocks of Ethereum: balances grow and shrink, and count once a finalised block proves them.

A transfer inside a contract call or a validator's withdrawal names nobody in any transaction's `to`, so
deposits are changes of balances and never a scan of transactions. What a node says of blocks before finality
is only shown as pending; the verified balance at the finalised block decides.
"""

from custody.application import accounts, arrivals, settlement
from custody.application.access import existing_account, policy_in_force
from custody.application.ports.store import UnitOfWork
from custody.domain.account import Halt
from custody.domain.chain_view import BlockRef
from custody.domain.deposit import (
    EthereumBlock,
    EthereumDelta,
    EthereumMovement,
    ExecutedOutflow,
    FinalisedBalance,
    VerifiedBalance,
)
from custody.domain.errors import FieldInvalid
from custody.domain.withdrawal import Confirmation, Withdrawal
from custody.domain.withdrawal_states import WithdrawalState
from signers.statements.amounts import Asset, Wei
from signers.statements.identifiers import AccountId, Seconds


def add(uow: UnitOfWork, delta: EthereumDelta, *, now: Seconds) -> None:
    """Add blocks, then settle and credit what the finalised block proves, if the policy accepts ether."""
    for block in delta.blocks:
        for movement in block.movements:
            _move(uow, movement, block, now=now)
    uow.add_blocks(Asset.ETH, [block.block for block in delta.blocks])
    if delta.finalised is None:
        return
    if delta.finalised not in uow.blocks(Asset.ETH):
        raise FieldInvalid(f"{delta.finalised} is not on the recorded chain", field="finalised")
    eligible = Asset.ETH in policy_in_force(uow).policy.eligible
    for balance in delta.balances if eligible else ():
        _finalise(uow, balance, delta.finalised, now=now)
    uow.save_finalised(delta.finalised)


def _move(uow: UnitOfWork, movement: EthereumMovement, block: EthereumBlock, *, now: Seconds) -> None:
    for outflow in movement.outflows:
        _confirm(uow, movement.account, outflow, block.block, now=now)
    if movement.received:
        _see(uow, movement.account, movement.received, block.block, now=now)


def _see(uow: UnitOfWork, account: AccountId, amount: Wei, block: BlockRef, *, now: Seconds) -> None:
    address = existing_account(uow, account).ethereum_address or ""
    arrivals.see(uow, account, amount, block, reference=address, outpoint=None, now=now)


def _confirm(
    uow: UnitOfWork, account: AccountId, outflow: ExecutedOutflow, block: BlockRef, *, now: Seconds
) -> None:
    ours = settlement.attempt_of(uow, account, outflow.transaction_id, now=now)
    if ours is None:
        return
    withdrawal, attempt = ours
    confirmation = Confirmation(attempt=attempt.number, block=block, paid=outflow.amount, fee=outflow.fee)
    settlement.confirm(uow, withdrawal, confirmation, now=now)


def _finalise(uow: UnitOfWork, verified: VerifiedBalance, finalised: BlockRef, *, now: Seconds) -> None:
    """Credit what the balance proves. Less than expected, or an unknown nonce: halt and post nothing."""
    before = uow.finalised_balance(verified.account)
    if before is not None and before.block.height >= finalised.height:
        return
    outflows = _final_outflows(uow, verified.account, finalised)
    spent = sum(c.confirmation.paid.units + c.confirmation.fee.units for c in outflows if c.confirmation)
    # By the ledger the address held exactly what is credited: every credit and settlement was at a final
    # block.
    credited = uow.balances(verified.account, Asset.ETH).confirmed
    received = verified.balance.units - credited + spent
    nonce = (before.nonce if before else 0) + len(outflows)
    if received < 0 or verified.nonce != nonce:
        accounts.halt(uow, verified.account, Halt.UNKNOWN_SPEND, now=now)
        return
    for withdrawal in outflows:
        settlement.settle(uow, withdrawal, now=now)
    _credit(uow, verified.account, received, finalised, now=now)
    uow.save_finalised_balance(
        FinalisedBalance(
            account=verified.account,
            block=finalised,
            balance=verified.balance,
            nonce=verified.nonce,
        )
    )


def _final_outflows(uow: UnitOfWork, account: AccountId, finalised: BlockRef) -> list[Withdrawal]:
    return [
        withdrawal
        for withdrawal in uow.withdrawals_in({WithdrawalState.CONFIRMING}, asset=Asset.ETH)
        if withdrawal.account == account
        and withdrawal.confirmation is not None
        and withdrawal.confirmation.block.height <= finalised.height
    ]


def _credit(uow: UnitOfWork, account: AccountId, received: int, finalised: BlockRef, *, now: Seconds) -> None:
    """Credit the pending deposits if they add up to what is proven; else what is proven, and only that."""
    pending = uow.pending_deposits(Asset.ETH, up_to=finalised.height, account=account)
    if sum(deposit.amount.units for deposit in pending) == received:
        for deposit in pending:
            arrivals.credit(uow, deposit, now=now)
        return
    for deposit in pending:
        arrivals.reverse(uow, deposit, now=now)
    if received:
        address = existing_account(uow, account).ethereum_address or ""
        proven = arrivals.see(
            uow, account, Wei(received), finalised, reference=f"{address}:proven", outpoint=None, now=now
        )
        arrivals.credit(uow, proven, now=now)
