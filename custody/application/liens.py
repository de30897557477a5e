"""Liens: reserve, post, void. Each is a statement of the secured party that continues the account's chain.

A reservation takes free units at once, so two racing reservations can never hold more than there is.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

from custody.application.access import account_of, existing_account, policy_in_force, require_party
from custody.application.idempotency import once
from custody.application.journal import change
from custody.application.ports.store import UnitOfWork
from custody.application.prices import quoted
from custody.application.signed import read, require_single_signature
from custody.domain.account import PledgeAccount
from custody.domain.errors import (
    AlreadyExists,
    AssetNotEligible,
    CollateralInsufficient,
    NotFound,
    PricesStale,
    StatementMismatch,
    StatementStale,
)
from custody.domain.identifiers import RequestId
from custody.domain.ledger import Balances, Book, Cause, CauseKind, Movement, free_quantity, give
from custody.domain.lien import HELD_IN, Lien, LienState
from custody.domain.price import PriceSet
from custody.domain.principal import Principal, Role
from signers.statements.amounts import Amount, Asset
from signers.statements.encumbrance import Encumbrance, EncumbranceKind
from signers.statements.envelope import Envelope
from signers.statements.identifiers import AccountId, LienId, Seconds
from signers.statements.policy import Policy
from signers.statements.refusals import Tag
from signers.statements.report import ValueStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class ReserveLien:
    """Hold free units until the statement's expiry."""

    request_id: RequestId
    account: AccountId
    lien: LienId
    envelope: Envelope
    """The encumbrance `reserve` with exactly one signature, the secured party's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostLien:
    """Make a reservation last; what the statement does not keep is freed."""

    request_id: RequestId
    account: AccountId
    lien: LienId
    envelope: Envelope
    """The encumbrance `post`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidLien:
    """Give a lien back, whole."""

    request_id: RequestId
    account: AccountId
    lien: LienId
    envelope: Envelope
    """The encumbrance `void`."""


LienCommand = ReserveLien | PostLien | VoidLien


def reserve(
    uow: UnitOfWork,
    command: ReserveLien,
    *,
    principal: Principal,
    now: Seconds,
    prices: PriceSet,
    disputed: Collection[Asset],
) -> Lien:
    """Hold units of free collateral.

    Args:
        uow: the unit of work.
        command: what is asked.
        principal: the caller.
        now: the time.
        prices: as they stood when it was asked.
        disputed: assets whose chain was DISPUTED then.

    Raises:
        AccountNotFound: there is none in the caller's scope.
        PrincipalNotAllowed: the caller does not act for the secured party.
        AccountNotActive, AccountHalted: nothing is lent against it.
        AlreadyExists: the id is taken.
        CollateralInsufficient: the free quantity does not cover it.
        PricesStale: too few fresh prices that agree, or a disputed chain.
        AssetNotEligible: the policy has no terms for the asset.
        StatementMalformed, StatementMismatch, StatementSignature: not the secured party's word on this lien.
        StatementStale: it does not continue the account's chain, or it has expired.
    """
    account = _account(uow, command, principal=principal)
    return once(
        uow,
        principal=principal,
        method="liens.reserve",
        request_id=command.request_id,
        command=command,
        effect=lambda: _reserve(uow, command, account=account, now=now, prices=prices, disputed=disputed),
    )


def _reserve(
    uow: UnitOfWork,
    command: ReserveLien,
    *,
    account: PledgeAccount,
    now: Seconds,
    prices: PriceSet,
    disputed: Collection[Asset],
) -> Lien:
    account.require_unhalted()
    policy = policy_in_force(uow).policy
    encumbrance = _read(command, EncumbranceKind.RESERVE, account=account, policy=policy)
    require_priced(encumbrance.amount.asset, policy=policy, prices=prices, disputed=disputed, now=now)
    return hold(uow, encumbrance, command.envelope, account=account, now=now)


def hold(
    uow: UnitOfWork,
    encumbrance: Encumbrance,
    envelope: Envelope,
    *,
    account: PledgeAccount,
    now: Seconds,
) -> Lien:
    """Take the units of a verified `reserve` out of the free quantity.

    Args:
        uow: the unit of work under which `account` was read.
        encumbrance: what `envelope` says; its signature and place in the chain were checked.
        envelope: the statement as signed.
        account: the account, not halted.
        now: the time.

    Raises:
        AlreadyExists, CollateralInsufficient, StatementStale: as `reserve`.
    """
    if encumbrance.expires_at is None or encumbrance.expires_at <= now:
        raise StatementStale(f"expired at {encumbrance.expires_at}", field="envelope")
    if uow.lien(account.account, encumbrance.lien) is not None:
        raise AlreadyExists(f"{encumbrance.lien} exists", field="lien")
    balances = uow.balances(account.account, encumbrance.amount.asset)
    require_free(balances, encumbrance.amount, account=account)
    lien = Lien(
        account=account.account,
        lien=encumbrance.lien,
        amount=encumbrance.amount,
        state=LienState.RESERVED,
        envelope=envelope,
        digest=envelope.digest,
        encumbrance_sequence=encumbrance.sequence,
        account_sequence=account.sequence + 1,
        expires_at=encumbrance.expires_at,
        created_at=now,
        updated_at=now,
    )
    moved = (Movement(Book.AVAILABLE, Book.RESERVED, lien.amount),)
    _write(uow, account, lien, moved, balances=balances, now=now)
    return lien


def require_free(balances: Balances, asked: Amount, *, account: PledgeAccount) -> None:
    """Raise `CollateralInsufficient` unless the free quantity covers what is asked."""
    free = free_quantity(balances, halted=account.halted)
    if asked.units > free.units:
        raise CollateralInsufficient(
            f"{asked} asked, {free} free",
            field="amount",
            data={
                "asset": balances.asset.value,
                "free_units": str(free.units),
                "asked_units": str(asked.units),
            },
        )


def require_priced(
    asset: Asset, *, policy: Policy, prices: PriceSet, disputed: Collection[Asset], now: Seconds
) -> None:
    """Raise unless the asset has a value that can be lent against: by its prices and by its chain.

    Raises:
        PricesStale: too few fresh prices that agree, or a disputed chain.
        AssetNotEligible: the policy has no terms for it.
    """
    if asset not in policy.eligible:
        raise AssetNotEligible(f"{asset} is not eligible", field="envelope")
    if asset in disputed:
        raise PricesStale(
            f"{asset} is disputed: the nodes of its chain disagree or are silent",
            data={"status": ValueStatus.DISPUTED.value},
        )
    status = quoted(prices, asset, policy=policy, now=now).status
    if status is not ValueStatus.OK:
        raise PricesStale(f"the price of {asset} is {status}", data={"status": status.value})


def post(uow: UnitOfWork, command: PostLien, *, principal: Principal, now: Seconds) -> Lien:
    """Make a reservation last, wholly or partly.

    Raises:
        AccountNotFound, PrincipalNotAllowed, NotFound: as `reserve`; no such lien.
        StateConflict: not reserved, or lapsed.
        StatementMalformed, StatementMismatch, StatementSignature, StatementStale: as `reserve`.
    """
    account = _account(uow, command, principal=principal)
    return once(
        uow,
        principal=principal,
        method="liens.post",
        request_id=command.request_id,
        command=command,
        effect=lambda: _post(uow, command, account=account, now=now),
    )


def _post(uow: UnitOfWork, command: PostLien, *, account: PledgeAccount, now: Seconds) -> Lien:
    encumbrance = _read(command, EncumbranceKind.POST, account=account, policy=policy_in_force(uow).policy)
    lien = _lien(uow, command)
    lien.require(EncumbranceKind.POST, now=now)
    if encumbrance.amount.asset is not lien.amount.asset or encumbrance.amount.units > lien.amount.units:
        raise StatementMismatch(
            f"posts {encumbrance.amount} of {lien.amount}", field="envelope", tag=Tag.AMOUNT
        )
    balances = uow.balances(account.account, lien.amount.asset)
    kept = (Movement(Book.RESERVED, Book.POSTED, encumbrance.amount),)
    freed = give(balances, Book.RESERVED, lien.amount - encumbrance.amount)
    posted = replace(
        _renewed(lien, encumbrance, command.envelope, account=account, now=now),
        amount=encumbrance.amount,
        state=LienState.POSTED,
        posted_at=now,
    )
    _write(uow, account, posted, kept + freed, balances=balances, now=now)
    return posted


def void(uow: UnitOfWork, command: VoidLien, *, principal: Principal, now: Seconds) -> Lien:
    """Give a reserved or posted lien back, whole.

    Raises:
        AccountNotFound, PrincipalNotAllowed, NotFound: as `reserve`; no such lien.
        StateConflict: voided or expired already.
        StatementMalformed, StatementMismatch, StatementSignature, StatementStale: as `reserve`.
    """
    account = _account(uow, command, principal=principal)
    return once(
        uow,
        principal=principal,
        method="liens.void",
        request_id=command.request_id,
        command=command,
        effect=lambda: _void(uow, command, account=account, now=now),
    )


def _void(uow: UnitOfWork, command: VoidLien, *, account: PledgeAccount, now: Seconds) -> Lien:
    encumbrance = _read(command, EncumbranceKind.VOID, account=account, policy=policy_in_force(uow).policy)
    lien = _lien(uow, command)
    lien.require(EncumbranceKind.VOID, now=now)
    if encumbrance.amount != lien.amount:
        raise StatementMismatch(
            f"voids {encumbrance.amount} of {lien.amount}", field="envelope", tag=Tag.AMOUNT
        )
    balances = uow.balances(account.account, lien.amount.asset)
    voided = replace(
        _renewed(lien, encumbrance, command.envelope, account=account, now=now),
        state=LienState.VOIDED,
        ended_at=now,
    )
    freed = give(balances, HELD_IN[lien.state], lien.amount)
    _write(uow, account, voided, freed, balances=balances, now=now)
    return voided


def expire_due(uow: UnitOfWork, *, now: Seconds, limit: int = 64) -> int:
    """Free the reservations whose time has come.

    Returns:
        How many; `limit` says that there may be more.
    """
    due = uow.lapsed_liens(now=now, limit=limit)
    for lien in due:
        account = existing_account(uow, lien.account)
        balances = uow.balances(lien.account, lien.amount.asset)
        freed = give(balances, Book.RESERVED, lien.amount)
        expired = replace(
            lien,
            state=LienState.EXPIRED,
            account_sequence=account.sequence + 1,
            ended_at=now,
            updated_at=now,
        )
        _write(uow, account, expired, freed, balances=balances, now=now, chained=False)
    return len(due)


def _account(uow: UnitOfWork, command: LienCommand, *, principal: Principal) -> PledgeAccount:
    account = account_of(uow, command.account, principal=principal)
    require_party(principal, account.secured_party, role=Role.SECURED_PARTY)
    return account


def _lien(uow: UnitOfWork, command: PostLien | VoidLien) -> Lien:
    lien = uow.lien(command.account, command.lien)
    if lien is None:
        raise NotFound("lien", f"{command.lien} of {command.account}", field="lien")
    return lien


def _read(
    command: LienCommand, kind: EncumbranceKind, *, account: PledgeAccount, policy: Policy
) -> Encumbrance:
    """The secured party's word: about this lien, signed by it alone, next in the account's chain."""
    encumbrance = read(Encumbrance, command.envelope, network=policy.network)
    if (encumbrance.account, encumbrance.lien, encumbrance.kind) != (command.account, command.lien, kind):
        raise StatementMismatch(
            f"{encumbrance.kind} of {encumbrance.lien} of {encumbrance.account}", field="envelope"
        )
    require_single_signature(
        command.envelope,
        account.secured_party.public_key,
        tag=Tag.SIGNATURE_INVALID,
        whose="the secured party",
    )
    head = (account.encumbrance_sequence + 1, account.encumbrance_head)
    if (encumbrance.sequence, encumbrance.previous) != head:
        raise StatementStale(
            f"continues {encumbrance.sequence - 1}, the chain stands at {account.encumbrance_sequence}",
            field="envelope",
            data={"sequence": str(account.encumbrance_sequence), "digest": account.encumbrance_head},
        )
    return encumbrance


def _renewed(
    lien: Lien, encumbrance: Encumbrance, envelope: Envelope, *, account: PledgeAccount, now: Seconds
) -> Lien:
    return replace(
        lien,
        envelope=envelope,
        digest=envelope.digest,
        encumbrance_sequence=encumbrance.sequence,
        account_sequence=account.sequence + 1,
        updated_at=now,
    )


def _write(
    uow: UnitOfWork,
    account: PledgeAccount,
    lien: Lien,
    movements: tuple[Movement, ...],
    *,
    balances: Balances,
    now: Seconds,
    chained: bool = True,
) -> None:
    """Write a lien with its postings. A lapse is nobody's statement and does not extend the chain."""
    if chained:
        account = account.changed(
            encumbrance_sequence=lien.encumbrance_sequence, encumbrance_head=lien.digest
        )
    uow.save_lien(lien)
    cause = Cause(CauseKind.LIEN, lien.lien)
    change(uow, account, cause, now=now, movements=movements, balances=balances)
