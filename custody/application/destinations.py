"""The allowlist of an account: the pledgor's entry, the approvers' quorum, the cooling-off."""

from dataclasses import dataclass, replace
from typing import Final

from custody.application.access import account_of, policy_in_force, require_etag, require_party, require_role
from custody.application.idempotency import once
from custody.application.journal import change
from custody.application.ports.store import Snapshot, UnitOfWork
from custody.application.signed import (
    read,
    refusals,
    require_same,
    require_single_signature,
    without_revoked,
)
from custody.domain.account import PledgeAccount
from custody.domain.destination import AllowedDestination
from custody.domain.errors import (
    AlreadyExists,
    ApproverNotEligible,
    AssetNotEligible,
    NotFound,
    StateConflict,
    StatementMismatch,
    StatementStale,
)
from custody.domain.identifiers import Etag, RequestId
from custody.domain.ledger import Cause, CauseKind
from custody.domain.principal import Principal, Role
from signers.statements import quorum
from signers.statements.allowlist import AllowlistEntry
from signers.statements.envelope import Envelope
from signers.statements.identifiers import AccountId, DestinationId, Seconds
from signers.statements.policy import Policy
from signers.statements.policy import Role as PolicyRole
from signers.statements.refusals import Tag

CLOCK_TOLERANCE_SECONDS: Final = 120
"""How far a party's clock may run ahead of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateDestination:
    """Propose a destination."""

    request_id: RequestId
    account: AccountId
    destination_id: DestinationId
    envelope: Envelope
    """The allowlist entry with exactly one signature, the pledgor's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproveDestination:
    """Add an approver's signature to an entry."""

    request_id: RequestId
    account: AccountId
    destination_id: DestinationId
    etag: Etag
    envelope: Envelope
    """The entry with exactly one signature, the approver's."""


def create(
    uow: UnitOfWork, command: CreateDestination, *, principal: Principal, now: Seconds
) -> AllowedDestination:
    """Put an entry on the allowlist; it counts for nothing before its quorum and its cooling-off.

    Raises:
        AccountNotFound: there is none in the caller's scope.
        PrincipalNotAllowed: the caller does not act for the pledgor.
        AccountNotActive: the addresses are not proven yet.
        AlreadyExists: the id is taken.
        StatementMalformed, StatementMismatch: not an entry of this account and id.
        StatementSignature: not signed by the pledgor alone.
        StatementStale: made in the future, or usable earlier than the policy's cooling-off allows.
        AssetNotEligible: the policy has no terms for its asset.
    """
    account = account_of(uow, command.account, principal=principal)
    require_party(principal, account.pledgor, role=Role.PLEDGOR)
    return once(
        uow,
        principal=principal,
        method="destinations.create",
        request_id=command.request_id,
        command=command,
        effect=lambda: _create(uow, command, account=account, now=now),
    )


def _create(
    uow: UnitOfWork, command: CreateDestination, *, account: PledgeAccount, now: Seconds
) -> AllowedDestination:
    account.require_active()
    policy = policy_in_force(uow).policy
    entry = _read_entry(command, account=account, policy=policy, now=now)
    if uow.destination(command.account, command.destination_id) is not None:
        raise AlreadyExists(f"{command.destination_id} exists", field="destination_id")
    destination = AllowedDestination(
        account=command.account,
        destination_id=command.destination_id,
        destination=entry.destination,
        envelope=command.envelope,
        digest=command.envelope.digest,
        approved_by=(),
        missing_approvals=policy.allowlist_approvers,
        usable_at=None,
        created_at=now,
        updated_at=now,
    )
    uow.save_destination(destination)
    change(uow, account, _cause(destination), now=now)
    return destination


def _read_entry(
    command: CreateDestination, *, account: PledgeAccount, policy: Policy, now: Seconds
) -> AllowlistEntry:
    entry = read(AllowlistEntry, command.envelope, network=policy.network)
    if (entry.account, entry.destination_id) != (command.account, command.destination_id):
        raise StatementMismatch(
            f"an entry {entry.destination_id} of {entry.account}",
            field="envelope",
            tag=Tag.ALLOWLIST_UNKNOWN,
        )
    if entry.destination.location in (account.script_pubkey, account.ethereum_address):
        # What is paid out there comes back as change: the books would say that it left.
        raise StatementMismatch(f"{account.account} itself as a destination", field="envelope")
    require_single_signature(
        command.envelope, account.pledgor.public_key, tag=Tag.ALLOWLIST_SIGNATURE, whose="the pledgor"
    )
    cooled = entry.usable_at - entry.created_at >= policy.allowlist_cooling_seconds
    if entry.created_at > now + CLOCK_TOLERANCE_SECONDS or not cooled:
        raise StatementStale(
            f"made at {entry.created_at}, usable at {entry.usable_at}",
            field="envelope",
            tag=Tag.ALLOWLIST_COOLING,
            data={"cooling_seconds": str(policy.allowlist_cooling_seconds)},
        )
    if entry.destination.asset not in policy.eligible:
        raise AssetNotEligible(f"{entry.destination.asset} is not eligible", field="envelope")
    return entry


def approve(
    uow: UnitOfWork, command: ApproveDestination, *, principal: Principal, now: Seconds
) -> AllowedDestination:
    """Add an approver's signature; the quorum's last one starts the cooling-off.

    Raises:
        PrincipalNotAllowed: the caller is no approver, or the signature is another entity's.
        NotFound: there is no such entry.
        EtagStale, StateConflict: it is not pending approval.
        ApproverNotEligible: the pledgor's entity, or one that has approved.
        StatementMismatch: other content than the entry on record.
        StatementSignature: not by an approver key of the policy.
    """
    require_role(principal, Role.APPROVER)
    account = account_of(uow, command.account, principal=principal)
    return once(
        uow,
        principal=principal,
        method="destinations.approve",
        request_id=command.request_id,
        command=command,
        effect=lambda: _approve(uow, command, account=account, principal=principal, now=now),
    )


def _approve(
    uow: UnitOfWork,
    command: ApproveDestination,
    *,
    account: PledgeAccount,
    principal: Principal,
    now: Seconds,
) -> AllowedDestination:
    present = destination_of(uow, command.account, command.destination_id)
    require_etag(command.etag, present.etag)
    if present.usable_at is not None:
        raise StateConflict(f"{present.destination_id} is approved", data={"state": "approved"})
    require_same(command.envelope, present.digest, tag=Tag.APPROVAL_WRONG_INTENT)
    policy = policy_in_force(uow).policy
    require_one_approver(command.envelope, policy=policy, principal=principal, now=now)
    maker = account.pledgor
    standing = without_revoked(present.envelope, policy=policy, maker=maker.public_key, now=now)
    merged = standing.with_signatures_of([command.envelope])
    with refusals(field="envelope"):
        reached = quorum.approvals(
            merged,
            policy=policy,
            role=PolicyRole.APPROVER,
            required=policy.allowlist_approvers,
            at=now,
            maker=maker,
        )
    destination = replace(
        present,
        envelope=merged,
        approved_by=tuple(sorted(reached.approved)),
        missing_approvals=reached.missing,
        usable_at=None if reached.missing else _usable_at(merged, policy=policy, now=now),
        updated_at=now,
    )
    uow.save_destination(destination)
    change(uow, account, _cause(destination), now=now)
    return destination


def _usable_at(envelope: Envelope, *, policy: Policy, now: Seconds) -> Seconds:
    entry = read(AllowlistEntry, envelope, network=policy.network)
    return Seconds(max(entry.usable_at, now + policy.allowlist_cooling_seconds))


def require_one_approver(envelope: Envelope, *, policy: Policy, principal: Principal, now: Seconds) -> None:
    """Raise unless the envelope carries exactly one signature, by an approver key of the caller's entity.

    Raises:
        StatementSignature: no or several signatures, or not by an approver key that stands.
        ApproverNotEligible: the caller sends another entity's signature.
    """
    with refusals(field="envelope"):
        alone = quorum.approvals(envelope, policy=policy, role=PolicyRole.APPROVER, required=1, at=now)
        alone.require()
    if alone.approved != {principal.entity}:
        raise ApproverNotEligible(
            f"{principal.name} sends the signature of {sorted(alone.approved)}",
            field="envelope",
            tag=Tag.APPROVAL_KEY_UNKNOWN,
        )


def destination_of(
    snapshot: Snapshot, account: AccountId, destination_id: DestinationId
) -> AllowedDestination:
    """One allowlist entry.

    Raises:
        NotFound: there is none.
    """
    destination = snapshot.destination(account, destination_id)
    if destination is None:
        raise NotFound("destination", f"{destination_id} of {account}", field="destination_id")
    return destination


def _cause(destination: AllowedDestination) -> Cause:
    return Cause(CauseKind.DESTINATION, destination.destination_id)
