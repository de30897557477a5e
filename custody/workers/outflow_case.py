"""Everything one step of a withdrawal looks at, read in one consistent view."""

from dataclasses import dataclass

from custody.application import planning
from custody.application.access import existing_account, policy_in_force
from custody.application.destinations import destination_of
from custody.application.ports.store import Snapshot
from custody.application.withdrawals import intent_envelope, statement_of, withdrawal_of
from custody.domain.account import PledgeAccount
from custody.domain.deposit import Coin, Outpoint
from custody.domain.errors import LedgerInvariant
from custody.domain.withdrawal import Attempt, Withdrawal
from signers.statements.account import Account
from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope
from signers.statements.intent import Intent
from signers.statements.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class OutflowCase:
    """One withdrawal and what belongs to it."""

    withdrawal: Withdrawal
    account: PledgeAccount
    statement: Account
    policy: Policy
    allowlist_entry: Envelope
    confirmed_coins: tuple[Coin, ...]
    """BTC, not planned yet: what an intent may spend."""
    bound_anchor: Outpoint | None
    """BTC, not planned yet: the coin that an intent must be anchored at, where there is one."""
    planned_coins: tuple[Coin, ...]
    """BTC, planned: what this one spends."""
    next_nonce: int
    """ETH: of the account's next transaction, by the last finalised state."""

    @property
    def intent_envelope(self) -> Envelope:
        """The intent with its signatures.

        Raises:
            LedgerInvariant: it was not planned.
        """
        return intent_envelope(self.withdrawal)

    @property
    def intent(self) -> Intent:
        """The intent itself."""
        return Intent.read(self.intent_envelope, network=self.policy.network)

    @property
    def release(self) -> Envelope:
        """The secured party's release.

        Raises:
            LedgerInvariant: there is none.
        """
        if self.withdrawal.release is None:
            raise LedgerInvariant(
                f"{self.withdrawal.withdrawal} is {self.withdrawal.state} without a release"
            )
        return self.withdrawal.release

    @property
    def attempt(self) -> Attempt:
        """The latest attempt.

        Raises:
            LedgerInvariant: there is none.
        """
        if self.withdrawal.attempt is None:
            raise LedgerInvariant(
                f"{self.withdrawal.withdrawal} is {self.withdrawal.state} without an attempt"
            )
        return self.withdrawal.attempt


def read_case(snapshot: Snapshot, withdrawal: Withdrawal) -> OutflowCase:
    """The case of a withdrawal, as it stands in this view.

    Raises:
        NotFound, AccountNotFound, StateConflict: it, its account or the policy is not there.
    """
    present = withdrawal_of(snapshot, withdrawal.account, withdrawal.withdrawal)
    account = existing_account(snapshot, present.account)
    policy = policy_in_force(snapshot).policy
    planned = (snapshot.coin(outpoint) for outpoint in present.coins)
    last = snapshot.finalised_balance(present.account)
    unplanned_bitcoin = present.asset is Asset.BTC and not present.coins
    return OutflowCase(
        withdrawal=present,
        account=account,
        statement=statement_of(snapshot, account, policy=policy),
        policy=policy,
        allowlist_entry=destination_of(snapshot, present.account, present.destination_id).envelope,
        confirmed_coins=_confirmed(snapshot, account, policy) if unplanned_bitcoin else (),
        bound_anchor=planning.bound_anchor(snapshot, present.account) if unplanned_bitcoin else None,
        planned_coins=tuple(coin for coin in planned if coin is not None),
        next_nonce=last.nonce if last is not None else 0,
    )


def _confirmed(snapshot: Snapshot, account: PledgeAccount, policy: Policy) -> tuple[Coin, ...]:
    """Coins as deep as a credited deposit, change included."""
    tip = snapshot.tip(Asset.BTC)
    if tip is None:
        return ()
    deep = tip.height - policy.terms_of(Asset.BTC).confirmations + 1
    coins = planning.spendable(snapshot, account.account)
    return tuple(coin for coin in coins if coin.block is not None and coin.block.height <= deep)
