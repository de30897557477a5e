"""Withdrawals: ask for one, cancel it, let it lapse.

`create` → `planning.plan` writes the intent → `consents.sign`, `consents.release`, `consents.approve` in any
order → `receipts.record_announcement` of every signer → `attempts` → `settlement`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from custody.application.access import (
    account_of,
    acting_party,
    existing_account,
    onboarding_of,
    policy_in_force,
    require_etag,
)
from custody.application.destinations import destination_of
from custody.application.idempotency import once
from custody.application.journal import change
from custody.application.liens import require_free
from custody.application.ports.store import Snapshot, UnitOfWork
from custody.application.signed import read, refusals
from custody.domain.account import PledgeAccount
from custody.domain.errors import (
    AlreadyExists,
    AssetNotEligible,
    DestinationNotUsable,
    FieldInvalid,
    LedgerInvariant,
    NotFound,
    PolicyForbids,
    PrincipalNotAllowed,
    WithdrawalOpen,
)
from custody.domain.identifiers import Etag, RequestId, WithdrawalId
from custody.domain.ledger import Book, Cause, CauseKind, Movement, give
from custody.domain.principal import Principal
from custody.domain.withdrawal import Withdrawal
from custody.domain.withdrawal_states import LAPSABLE, OPEN, WithdrawalEvent, WithdrawalState, step
from signers.statements.account import Account, Party
from signers.statements.amounts import Amount, Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import AccountId, DestinationId, Seconds, SignerId
from signers.statements.policy import Policy
from signers.statements.refusals import Tag

DUST_LIMIT_SATS: Final = 546
"""Bitcoin Core's relay policy for the costliest standard output (P2PKH); below it nodes refuse to relay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateWithdrawal:
    """Ask for an outflow to an allowlisted destination."""

    request_id: RequestId
    account: AccountId
    withdrawal: WithdrawalId
    destination_id: DestinationId
    amount: Amount
    fee_cap: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelWithdrawal:
    """End a withdrawal that no signer has heard of."""

    request_id: RequestId
    account: AccountId
    withdrawal: WithdrawalId
    etag: Etag


def create(uow: UnitOfWork, command: CreateWithdrawal, *, principal: Principal, now: Seconds) -> Withdrawal:
    """Hold amount and fee cap for an outflow; the intent is written next.

    Raises:
        AccountNotFound: there is none in the caller's scope.
        PrincipalNotAllowed: the caller acts for no party of it.
        AccountNotActive, AccountHalted: nothing leaves it.
        AlreadyExists: the id is taken.
        FieldInvalid: nothing to pay, dust, or a fee cap of another asset.
        DestinationNotUsable: unknown, of another asset, not approved, or cooling off.
        PolicyForbids: no tier allows the amount, or the fee cap or the window's limit does not.
        WithdrawalOpen: another one of this account and asset is open.
        CollateralInsufficient: the free quantity does not cover amount and fee cap.
    """
    account = account_of(uow, command.account, principal=principal)
    maker = acting_party(account, principal)
    return once(
        uow,
        principal=principal,
        method="withdrawals.create",
        request_id=command.request_id,
        command=command,
        effect=lambda: _create(uow, command, account=account, maker=maker, now=now),
    )


def _create(
    uow: UnitOfWork, command: CreateWithdrawal, *, account: PledgeAccount, maker: Party, now: Seconds
) -> Withdrawal:
    policy = policy_in_force(uow).policy
    account.require_unhalted()
    if uow.withdrawal(command.account, command.withdrawal) is not None:
        raise AlreadyExists(f"{command.withdrawal} exists", field="withdrawal")
    _require_amounts(command, policy=policy)
    withdrawal = _requested(uow, command, policy=policy, account=account, maker=maker, now=now)
    other = uow.open_withdrawal(command.account, command.amount.asset)
    if other is not None:
        raise WithdrawalOpen(f"{other.withdrawal} is open", data={"withdrawal": other.withdrawal})
    balances = uow.balances(command.account, command.amount.asset)
    require_free(balances, withdrawal.held, account=account)
    held = (Movement(Book.AVAILABLE, Book.WITHDRAWING, withdrawal.held),)
    return save(uow, account, withdrawal, now=now, movements=held)


def _requested(
    uow: UnitOfWork,
    command: CreateWithdrawal,
    *,
    policy: Policy,
    account: PledgeAccount,
    maker: Party,
    now: Seconds,
) -> Withdrawal:
    try:
        destination = destination_of(uow, command.account, command.destination_id)
    except NotFound as error:
        raise DestinationNotUsable(
            error.message, field="destination_id", tag=Tag.ALLOWLIST_UNKNOWN
        ) from error
    destination.require_usable(now=now)
    if destination.asset is not command.amount.asset:
        raise DestinationNotUsable(
            f"{command.destination_id} takes {destination.asset}", field="destination_id"
        )
    return Withdrawal(
        account=account.account,
        withdrawal=command.withdrawal,
        amount=command.amount,
        fee_cap=command.fee_cap,
        destination_id=command.destination_id,
        destination=destination.destination,
        maker=maker.entity,
        state=WithdrawalState.REQUESTED,
        expires_at=Seconds(now + policy.intent_lifetime_max_seconds),
        created_at=now,
        updated_at=now,
    )


def _require_amounts(command: CreateWithdrawal, *, policy: Policy) -> None:
    amount, fee_cap = command.amount, command.fee_cap
    if amount.asset is not fee_cap.asset:
        raise FieldInvalid(f"a fee of {fee_cap.asset} for an outflow of {amount.asset}", field="fee_cap")
    if not fee_cap:
        raise FieldInvalid("a fee cap is more than nothing", field="fee_cap")
    if not amount or (amount.asset is Asset.BTC and amount.units < DUST_LIMIT_SATS):
        raise FieldInvalid(f"{amount} is too little to pay", field="amount")
    try:
        limit = policy.limit_of(amount.asset)
    except LookupError as error:
        raise AssetNotEligible(str(error), field="amount") from error
    with refusals(field="amount"):
        policy.tier_of(amount)
    if fee_cap.units > limit.fee_cap.units:
        raise PolicyForbids(f"a fee cap of {fee_cap} above {limit.fee_cap}", field="fee_cap", tag=Tag.FEE_CAP)
    if amount.units + fee_cap.units > limit.total.units:
        raise PolicyForbids(f"above {limit.total} per window", field="amount", tag=Tag.VELOCITY)


def cancel(uow: UnitOfWork, command: CancelWithdrawal, *, principal: Principal, now: Seconds) -> Withdrawal:
    """End a withdrawal and give its hold back.

    Raises:
        AccountNotFound, NotFound: no such withdrawal in the caller's scope.
        PrincipalNotAllowed: the caller is neither its maker nor the custodian.
        EtagStale: changed since it was read.
        StateConflict: announced: signers honour it until its anchor is spent, no message takes it back.
    """
    account = account_of(uow, command.account, principal=principal)
    acting = acting_party(account, principal)
    require_maker(uow, command.account, command.withdrawal, acting, account.custodian)
    return once(
        uow,
        principal=principal,
        method="withdrawals.cancel",
        request_id=command.request_id,
        command=command,
        effect=lambda: _cancel(uow, command, account=account, now=now),
    )


def _cancel(
    uow: UnitOfWork, command: CancelWithdrawal, *, account: PledgeAccount, now: Seconds
) -> Withdrawal:
    present = withdrawal_of(uow, command.account, command.withdrawal)
    require_etag(command.etag, present.etag)
    return end(uow, account, present, WithdrawalEvent.CANCELLED, now=now)


def end(
    uow: UnitOfWork, account: PledgeAccount, present: Withdrawal, event: WithdrawalEvent, *, now: Seconds
) -> Withdrawal:
    """Cancel or lapse: the hold goes back; its coins are planned for nothing that is open any more.

    Raises:
        StateConflict: not from this state.
    """
    ended = replace(present, state=step(present.state, event), missing=())
    balances = uow.balances(account.account, present.asset)
    freed = give(balances, Book.WITHDRAWING, present.held)
    return save(uow, account, ended, now=now, movements=freed)


def expire_due(uow: UnitOfWork, *, now: Seconds) -> int:
    """End the withdrawals that nobody signed in time, as nobody will any more, and give their holds back.

    No signer signs for the first time once intent or release has expired (ADR 17). What no signer was asked
    to sign by then is over. What was asked is over where every signer that could sign says, signed, that it
    never did: one of them may be lying, and one signature of BTC spends nothing. A holder of ETH that lies
    could sign whatever is written here.

    Returns:
        How many.
    """
    due = [each for each in uow.withdrawals_in(LAPSABLE) if _is_over(uow, each, now=now)]
    for withdrawal in due:
        account = existing_account(uow, withdrawal.account)
        end(uow, account, withdrawal, WithdrawalEvent.LAPSED, now=now)
    return len(due)


def _is_over(uow: UnitOfWork, withdrawal: Withdrawal, *, now: Seconds) -> bool:
    if not withdrawal.attempts:
        return withdrawal.expires_at <= now
    account, policy = existing_account(uow, withdrawal.account), policy_in_force(uow).policy
    statement = statement_of(uow, account, policy=policy)
    return withdrawal.forgone.issuperset(could_sign(statement, withdrawal.asset))


def could_sign(statement: Account, asset: Asset) -> tuple[SignerId, ...]:
    """Whose signatures an outflow can carry."""
    return statement.could_sign(asset)


def maker_of(withdrawal: Withdrawal, account: PledgeAccount) -> Party:
    """The party that asked."""
    maker = account.party(withdrawal.maker)
    if maker is None:
        raise LedgerInvariant(f"the maker of {withdrawal.withdrawal} is no party")
    return maker


def require_maker(
    snapshot: Snapshot, account: AccountId, withdrawal: WithdrawalId, acting: Party, *others: Party
) -> None:
    """Raise `PrincipalNotAllowed` unless the caller acts for the maker, or for one of the others.

    Whether there is such a withdrawal is for the effect to say: a request id that was used for one is refused
    as such also where the next body names none.
    """
    known = snapshot.withdrawal(account, withdrawal)
    if known is not None and acting.entity not in {known.maker, *(party.entity for party in others)}:
        raise PrincipalNotAllowed(f"{acting.entity} did not ask for {withdrawal}")


def intent_envelope(withdrawal: Withdrawal) -> Envelope:
    """The intent with the signatures so far."""
    if withdrawal.intent is None:
        raise LedgerInvariant(f"{withdrawal.withdrawal} is {withdrawal.state} without an intent")
    return withdrawal.intent


def statement_of(snapshot: Snapshot, account: PledgeAccount, *, policy: Policy) -> Account:
    """The account statement that everybody signed."""
    return read(Account, onboarding_of(snapshot, account.account).prepared, network=policy.network)


def withdrawal_of(snapshot: Snapshot, account: AccountId, withdrawal: WithdrawalId) -> Withdrawal:
    """One withdrawal.

    Raises:
        NotFound: there is none.
    """
    found = snapshot.withdrawal(account, withdrawal)
    if found is None:
        raise NotFound("withdrawal", f"{withdrawal} of {account}", field="withdrawal")
    return found


def record_of(
    snapshot: Snapshot, account: AccountId, withdrawal: WithdrawalId
) -> tuple[PledgeAccount, Withdrawal]:
    """A withdrawal and its account, for custody's own workers.

    Raises:
        AccountNotFound, NotFound: there is none.
    """
    return existing_account(snapshot, account), withdrawal_of(snapshot, account, withdrawal)


def to_drive(snapshot: Snapshot) -> Sequence[Withdrawal]:
    """Every open withdrawal, the longest unchanged first; the driver's work list."""
    return snapshot.withdrawals_in(OPEN)


def save(
    uow: UnitOfWork,
    account: PledgeAccount,
    withdrawal: Withdrawal,
    *,
    now: Seconds,
    movements: tuple[Movement, ...] = (),
    kind: CauseKind = CauseKind.WITHDRAWAL,
    retracts_from: int | None = None,
) -> Withdrawal:
    """Write a withdrawal and its change of the account."""
    written = replace(withdrawal, account_sequence=account.sequence + 1, updated_at=now)
    uow.save_withdrawal(written)
    cause = Cause(kind, withdrawal.withdrawal)
    change(uow, account, cause, now=now, movements=movements, retracts_from=retracts_from)
    return written
