"""Fix what everybody signs: which coins are set aside, which anchor is spent, and the intent itself."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from custody.application.access import policy_in_force
from custody.application.consents import missing_of
from custody.application.ports.store import Snapshot, UnitOfWork
from custody.application.withdrawals import record_of, save
from custody.domain.deposit import Coin, CoinOrigin, DepositState, Outpoint
from custody.domain.errors import FieldInvalid, StateConflict
from custody.domain.identifiers import WithdrawalId, deposit_id
from custody.domain.withdrawal import Withdrawal
from custody.domain.withdrawal_states import WithdrawalEvent, step
from signers.statements.amounts import Asset
from signers.statements.identifiers import AccountId, IntentId, Seconds
from signers.statements.intent import Anchor, Intent, IntentKind, NonceAnchor, OutpointAnchor
from signers.statements.policy import Policy
from signers.statements.refusals import Tag

COINS_MAX: Final = 64
"""The most inputs of one transaction: what a signer takes (signer.proto)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanWithdrawal:
    """Fix what everybody signs."""

    account: AccountId
    withdrawal: WithdrawalId
    intent: IntentId
    """A fresh UUID4."""
    anchor: Anchor
    """BTC: one of `coins`. ETH: the account's next nonce."""
    coins: tuple[Outpoint, ...] = ()
    """BTC: what to spend, covering amount and fee cap. ETH: none."""


def spendable(snapshot: Snapshot, account: AccountId) -> Sequence[Coin]:
    """The coins that an intent may spend: standing, credited or change, planned for nothing open."""
    return [coin for coin in snapshot.coins(account) if _free(snapshot, coin)]


def _free(snapshot: Snapshot, coin: Coin) -> bool:
    if coin.planned_for is not None:
        planned = snapshot.withdrawal(coin.account, coin.planned_for)
        if planned is not None and planned.open:
            return False
    if coin.origin is CoinOrigin.CHANGE or coin.block is None:
        return coin.standing
    name = deposit_id(asset=Asset.BTC, reference=str(coin.outpoint), block_hash=coin.block.block_hash)
    deposit = snapshot.deposit(coin.account, name)
    return coin.standing and deposit is not None and deposit.state is DepositState.CREDITED


def bound_anchor(snapshot: Snapshot, account: AccountId) -> Outpoint | None:
    """The coin that the account's next intent is anchored at, where an earlier one ended unpaid.

    Whoever announced that one accepts nothing on another anchor until this coin is spent. Whether anyone has
    is not always known here: an answer may have been lost. Ethereum needs no such memory: its next nonce
    stays the next.
    """
    ended = [
        planned
        for coin in spendable(snapshot, account)
        if coin.planned_for is not None
        and (planned := snapshot.withdrawal(account, coin.planned_for)) is not None
        and planned.anchor == OutpointAnchor(txid=coin.outpoint.txid, index=coin.outpoint.index)
    ]
    latest = max(ended, key=lambda each: (bool(each.announcements), each.updated_at), default=None)
    if latest is None or not isinstance(latest.anchor, OutpointAnchor):
        return None
    return Outpoint(latest.anchor.txid, latest.anchor.index)


def plan(uow: UnitOfWork, command: PlanWithdrawal, *, now: Seconds) -> Withdrawal:
    """Set the coins aside and write the intent; the people sign next.

    Raises:
        NotFound: no such withdrawal.
        StateConflict: planned already, or ended; or a coin is not the account's to spend.
        FieldInvalid: the anchor is none of the coins, of another chain, not the next nonce or not the one
            that signers hold the account to; or the coins do not cover amount and fee cap.
    """
    account, present = record_of(uow, command.account, command.withdrawal)
    state = step(present.state, WithdrawalEvent.PLANNED)
    account.require_unhalted()
    policy = policy_in_force(uow)
    if present.asset is Asset.BTC:
        _set_aside(uow, command, present)
    else:
        _require_next_nonce(uow, command, policy=policy.policy)
    intent = Intent(
        network=policy.policy.network,
        intent=command.intent,
        account=present.account,
        kind=IntentKind.WITHDRAWAL,
        maker=present.maker,
        destination_id=present.destination_id,
        destination=present.destination,
        amount=present.amount,
        fee_cap=present.fee_cap,
        anchor=command.anchor,
        policy_digest=policy.digest,
        created_at=now,
        expires_at=Seconds(now + policy.policy.intent_lifetime_max_seconds),
    )
    envelope = intent.envelope()
    planned = replace(
        present,
        state=state,
        intent=envelope,
        intent_digest=envelope.digest,
        anchor=command.anchor,
        coins=command.coins,
        expires_at=intent.expires_at,
    )
    missing = missing_of(planned, account=account, policy=policy.policy, now=now)
    return save(uow, account, replace(planned, missing=missing), now=now)


def _set_aside(uow: UnitOfWork, command: PlanWithdrawal, present: Withdrawal) -> None:
    if not 0 < len(command.coins) <= COINS_MAX or len(set(command.coins)) != len(command.coins):
        raise FieldInvalid(f"1 to {COINS_MAX} distinct coins", field="coins")
    anchor = command.anchor
    if not isinstance(anchor, OutpointAnchor) or Outpoint(anchor.txid, anchor.index) not in command.coins:
        raise FieldInvalid("the anchor is one of the coins", field="anchor")
    bound = bound_anchor(uow, command.account)
    if bound not in (None, Outpoint(anchor.txid, anchor.index)):
        raise FieldInvalid(f"signers may be bound to {bound}", field="anchor", tag=Tag.ANCHOR_BUSY)
    free = {coin.outpoint: coin for coin in spendable(uow, command.account)}
    if any(outpoint not in free for outpoint in command.coins):
        raise StateConflict("a coin is not free to spend", data={"coins": " ".join(map(str, command.coins))})
    total = sum(free[outpoint].amount.units for outpoint in command.coins)
    if total < present.held.units:
        raise FieldInvalid(f"{total} sat do not cover {present.held}", field="coins")
    for outpoint in command.coins:
        uow.save_coin(replace(free[outpoint], planned_for=command.withdrawal))


def _require_next_nonce(uow: UnitOfWork, command: PlanWithdrawal, *, policy: Policy) -> None:
    anchor, last = command.anchor, uow.finalised_balance(command.account)
    expected = last.nonce if last is not None else 0
    if not isinstance(anchor, NonceAnchor) or anchor.chain_id != policy.network.chain_id or command.coins:
        raise FieldInvalid("the anchor is a nonce of this chain, and there are no coins", field="anchor")
    if anchor.nonce != expected:
        raise FieldInvalid(f"nonce {anchor.nonce}, the next one is {expected}", field="anchor")
