"""Pledge accounts, from the parties' side: open one, sign its statement, halt it.

The way to ACTIVE: `create` → `onboarding.record_account_key` (three signers) →
`onboarding.statement_prepared` → `sign` (three parties) → `onboarding.record_cosignature` (three signers) →
`onboarding.record_ownership_proof` (three signers) → `onboarding.activate`.
"""

from dataclasses import dataclass, replace

from custody.application.access import (
    account_of,
    acting_party,
    existing_account,
    onboarding_of,
    policy_in_force,
    require_etag,
    require_party,
    require_role,
)
from custody.application.idempotency import once
from custody.application.journal import change
from custody.application.ports.store import UnitOfWork
from custody.application.signed import require_same, require_single_signature
from custody.domain.account import LIFTABLE, AccountState, Dossier, Halt, Onboarding, PledgeAccount
from custody.domain.errors import (
    AlreadyExists,
    FieldInvalid,
    PolicyForbids,
    StateConflict,
)
from custody.domain.identifiers import Etag, RequestId
from custody.domain.ledger import Cause, CauseKind
from custody.domain.output_script import is_standard
from custody.domain.principal import Principal, Role
from signers.statements.account import Enforcement, Party
from signers.statements.envelope import Envelope
from signers.statements.identifiers import AccountId, Seconds
from signers.statements.policy import Policy
from signers.statements.refusals import Tag


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateAccount:
    """Begin a pledge account."""

    request_id: RequestId
    account: AccountId
    pledgor: Party
    secured_party: Party
    custodian: Party
    """From custody's configuration, never from the caller."""
    enforcement: Enforcement


@dataclass(frozen=True, slots=True, kw_only=True)
class SignAccount:
    """Add a party's signature to the account statement."""

    request_id: RequestId
    account: AccountId
    etag: Etag
    envelope: Envelope
    """The statement with exactly one signature, the party's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftHalt:
    """Take one reason to halt back."""

    request_id: RequestId
    account: AccountId
    etag: Etag
    halt: Halt


def create(uow: UnitOfWork, command: CreateAccount, *, principal: Principal, now: Seconds) -> Dossier:
    """Begin an account; its keys are made next.

    Raises:
        PrincipalNotAllowed: the caller is not the custodian.
        AlreadyExists: the id is taken.
        FieldInvalid: the parties are not three entities with three keys, or the enforcement's script is none
            that somebody in particular can spend from.
        PolicyForbids: a party's key stands in the policy under another entity.
    """
    require_role(principal, Role.CUSTODIAN)
    return once(
        uow,
        principal=principal,
        method="accounts.create",
        request_id=command.request_id,
        command=command,
        effect=lambda: _create(uow, command, now=now),
    )


def _create(uow: UnitOfWork, command: CreateAccount, *, now: Seconds) -> Dossier:
    policy = policy_in_force(uow)
    parties = (command.pledgor, command.secured_party, command.custodian)
    if len({p.entity for p in parties}) != 3 or len({p.public_key for p in parties}) != 3:
        raise FieldInvalid("the three parties are three entities with three keys", field="pledgor")
    if not is_standard(command.enforcement.bitcoin):
        raise FieldInvalid("not P2PKH, P2SH, P2WPKH, P2WSH or P2TR", field="enforcement.bitcoin")
    for party, field in zip(parties, ("pledgor", "secured_party", "custodian"), strict=True):
        _require_unshared(party, policy.policy, field=field)
    if uow.account(command.account) is not None:
        raise AlreadyExists(f"{command.account} exists", field="account")
    account = PledgeAccount(
        account=command.account,
        pledgor=command.pledgor,
        secured_party=command.secured_party,
        custodian=command.custodian,
        enforcement=command.enforcement,
        policy_digest=policy.digest,
        state=AccountState.CREATING_KEYS,
        created_at=now,
        updated_at=now,
    )
    uow.add_account(account)
    onboarding = Onboarding(account=command.account)
    uow.save_onboarding(onboarding)
    begun = change(uow, account, Cause(CauseKind.ACCOUNT), now=now)
    return Dossier(account=begun, onboarding=onboarding)


def _require_unshared(party: Party, policy: Policy, *, field: str) -> None:
    """One key under two entities would let one of them count as the other; a machine's is no party's."""
    others = {key.entity for key in policy.keys if key.public_key == party.public_key} - {party.entity}
    if party.public_key in policy.machine_keys or others:
        whose = ", ".join(sorted(others)) or "a machine"
        raise PolicyForbids(
            f"the key of {party.entity} is that of {whose} in the policy",
            field=field,
            tag=Tag.POLICY_SHARED_KEY,
        )


def sign(uow: UnitOfWork, command: SignAccount, *, principal: Principal, now: Seconds) -> Dossier:
    """Add a party's signature; with the third the signers co-sign next.

    Raises:
        AccountNotFound: there is none in the caller's scope.
        PrincipalNotAllowed: the caller acts for no party.
        EtagStale, StateConflict: the statement is not awaiting this signature.
        StatementMismatch: other content than the account's statement.
        StatementSignature: not signed by this party's key, and by it alone.
    """
    account = account_of(uow, command.account, principal=principal)
    party = acting_party(account, principal)
    return once(
        uow,
        principal=principal,
        method="accounts.sign",
        request_id=command.request_id,
        command=command,
        effect=lambda: _sign(uow, command, account=account, party=party, now=now),
    )


def _sign(
    uow: UnitOfWork, command: SignAccount, *, account: PledgeAccount, party: Party, now: Seconds
) -> Dossier:
    require_etag(command.etag, account.etag)
    account.require_state(AccountState.AWAITING_SIGNATURES)
    require_same(command.envelope, account.statement_digest, tag=Tag.ACCOUNT_CONFLICT)
    require_single_signature(command.envelope, party.public_key, tag=Tag.ACCOUNT_PARTIES, whose=party.entity)
    onboarding = onboarding_of(uow, account.account)
    statement = onboarding.prepared.with_signatures_of([command.envelope])
    gathered = replace(onboarding, statement=statement)
    uow.save_onboarding(gathered)
    if all(statement.signed_by(each.public_key) for each in account.parties):
        account = account.changed(state=AccountState.COSIGNING)
    signed = change(uow, account, Cause(CauseKind.ACCOUNT), now=now)
    return Dossier(account=signed, onboarding=gathered)


def halt(uow: UnitOfWork, account: AccountId, why: Halt, *, now: Seconds) -> PledgeAccount:
    """Stop an account: nothing flows out, nothing more is lent. Halted for this already changes nothing.

    Raises:
        AccountNotFound: there is none.
    """
    present = existing_account(uow, account)
    if why in present.halts:
        return present
    halted = present.changed(halts=present.halts | {why})
    return change(uow, halted, Cause(CauseKind.HALT, why), now=now)


def lift_halt(uow: UnitOfWork, command: LiftHalt, *, principal: Principal, now: Seconds) -> Dossier:
    """Take one reason to halt back, once a person has looked at it; on record with who did.

    It opens nothing by itself: the account stays halted until ledger and chain were compared and found equal
    (`reconciled`), so a halt whose cause still holds comes back.

    Raises:
        AccountNotFound: there is none in the caller's scope.
        PrincipalNotAllowed: the caller does not act for the custodian.
        EtagStale: halted otherwise than when it was looked at.
        FieldInvalid: what ends by itself alone: a shortfall is lifted by the coins that fill it.
        StateConflict: the account is not halted for this reason.
    """
    account = account_of(uow, command.account, principal=principal)
    require_party(principal, account.custodian, role=Role.CUSTODIAN)
    return once(
        uow,
        principal=principal,
        method="accounts.lift_halt",
        request_id=command.request_id,
        command=command,
        effect=lambda: _lift_halt(uow, command, account=account, by=principal.name, now=now),
    )


def _lift_halt(
    uow: UnitOfWork, command: LiftHalt, *, account: PledgeAccount, by: str, now: Seconds
) -> Dossier:
    require_etag(command.etag, account.etag)
    if command.halt not in LIFTABLE:
        raise FieldInvalid(f"{command.halt} ends with its cause, nobody lifts it", field="halt")
    if command.halt not in account.halts:
        raise StateConflict(f"{account.account} is not halted for {command.halt}", field="halt")
    halts = account.halts - {command.halt} | {Halt.AWAITING_RECONCILIATION}
    cause = Cause(CauseKind.HALT_LIFTED, f"{command.halt} by {by}")
    lifted = change(uow, account.changed(halts=halts), cause, now=now)
    return Dossier(account=lifted, onboarding=onboarding_of(uow, account.account))


def reconciled(uow: UnitOfWork, account: AccountId, *, agree: bool, now: Seconds) -> PledgeAccount:
    """What comparing an account with the chains has shown: a halt, or the end of the one that awaited it.

    Raises:
        AccountNotFound: there is none.
    """
    present = existing_account(uow, account)
    found = frozenset() if agree else {Halt.RECONCILIATION}
    halts = present.halts - {Halt.AWAITING_RECONCILIATION} | found
    if halts == present.halts:
        return present
    lifted = Cause(CauseKind.HALT_LIFTED, Halt.AWAITING_RECONCILIATION)
    cause = lifted if agree else Cause(CauseKind.HALT, Halt.RECONCILIATION)
    return change(uow, present.changed(halts=halts), cause, now=now)
