"""Who may do what: scope first, so that another tenant's account looks like none."""

from typing import TypeGuard

from custody.application.ports.store import Projection, Scope, SignedPolicy, Snapshot
from custody.domain.account import Onboarding, PledgeAccount
from custody.domain.errors import (
    AccountNotFound,
    EtagStale,
    LedgerInvariant,
    PrincipalNotAllowed,
    StateConflict,
)
from custody.domain.identifiers import Etag
from custody.domain.principal import SEES_EVERY_ACCOUNT, Principal, Role
from signers.statements.account import Party
from signers.statements.identifiers import AccountId, EntityId


def scope_of(principal: Principal) -> EntityId | Scope | None:
    """Whose accounts the caller may know of: an entity's, everybody's, or (`None`) nobody's."""
    return Scope.EVERY if principal.roles & SEES_EVERY_ACCOUNT else principal.entity


def visible(account: PledgeAccount | None, principal: Principal) -> TypeGuard[PledgeAccount]:
    """Whether there is such an account and the caller may know of it."""
    if account is None:
        return False
    scope = scope_of(principal)
    return scope is Scope.EVERY or scope in (account.pledgor.entity, account.secured_party.entity)


def account_of(
    view: Snapshot | Projection, account: AccountId, *, principal: Principal, field: str = "account"
) -> PledgeAccount:
    """The account, if the caller may know of it.

    Raises:
        AccountNotFound: there is none, or it is another tenant's.
    """
    found = view.account(account)
    if not visible(found, principal):
        raise AccountNotFound(account, field=field)
    return found


def existing_account(snapshot: Snapshot, account: AccountId) -> PledgeAccount:
    """The account, for custody's own workers.

    Raises:
        AccountNotFound: there is none.
    """
    found = snapshot.account(account)
    if found is None:
        raise AccountNotFound(account)
    return found


def onboarding_of(snapshot: Snapshot, account: AccountId) -> Onboarding:
    """What was gathered of an account that there is.

    Raises:
        LedgerInvariant: nothing, not even that nothing was.
    """
    found = snapshot.onboarding(account)
    if found is None:
        raise LedgerInvariant(f"{account} has no onboarding record")
    return found


def require_role(principal: Principal, *roles: Role) -> None:
    """Raise `PrincipalNotAllowed` unless the caller has one of the roles."""
    if not principal.roles.intersection(roles):
        wanted = ", ".join(sorted(roles))
        raise PrincipalNotAllowed(f"{principal.name} is none of: {wanted}")


def require_party(principal: Principal, party: Party, *, role: Role) -> None:
    """Raise `PrincipalNotAllowed` unless the caller acts for this party in this role."""
    if principal.entity != party.entity or role not in principal.roles:
        raise PrincipalNotAllowed(f"{principal.name} does not act for the {role} {party.entity}")


def acting_party(account: PledgeAccount, principal: Principal) -> Party:
    """The party that the caller acts for. An approver of a party's entity is not that party.

    Raises:
        PrincipalNotAllowed: it acts for none.
    """
    places = (
        (account.pledgor, Role.PLEDGOR),
        (account.secured_party, Role.SECURED_PARTY),
        (account.custodian, Role.CUSTODIAN),
    )
    for party, role in places:
        if principal.entity == party.entity and role in principal.roles:
            return party
    raise PrincipalNotAllowed(f"{principal.name} acts for no party of {account.account}")


def require_etag(given: Etag, present: Etag) -> None:
    """Raise `EtagStale` unless the caller decided on what stands now."""
    if given != present:
        raise EtagStale("changed since it was read", field="etag", data={"etag": present})


def policy_in_force(snapshot: Snapshot) -> SignedPolicy:
    """The policy.

    Raises:
        StateConflict: none was pinned: custody does nothing without one.
    """
    policy = snapshot.policy()
    if policy is None:
        raise StateConflict("no policy is in force")
    return policy
