"""Who must agree to an outflow: the maker signs, the secured party releases, approvers approve, in any order.

A call authorises nothing by itself: the signature in it does, and every signer checks it again.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from custody.application.access import (
    account_of,
    acting_party,
    policy_in_force,
    require_etag,
    require_party,
    require_role,
)
from custody.application.destinations import require_one_approver
from custody.application.idempotency import once
from custody.application.liens import require_priced
from custody.application.ports.store import UnitOfWork
from custody.application.signed import (
    read,
    refusals,
    require_same,
    require_single_signature,
    without_revoked,
)
from custody.application.withdrawals import (
    intent_envelope,
    maker_of,
    require_maker,
    save,
    statement_of,
    withdrawal_of,
)
from custody.domain.account import PledgeAccount
from custody.domain.errors import PrincipalNotAllowed, StatementStale
from custody.domain.identifiers import Etag, RequestId, WithdrawalId
from custody.domain.price import PriceSet
from custody.domain.principal import Principal, Role
from custody.domain.withdrawal import Capacity, Collected, Missing, Withdrawal
from custody.domain.withdrawal_states import WithdrawalEvent, step
from signers.statements import quorum
from signers.statements.account import Party
from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import AccountId, EntityId, Seconds
from signers.statements.intent import Intent
from signers.statements.policy import Policy
from signers.statements.policy import Role as PolicyRole
from signers.statements.refusals import Tag


@dataclass(frozen=True, slots=True, kw_only=True)
class SignWithdrawal:
    """Add the maker's signature over the intent."""

    request_id: RequestId
    account: AccountId
    withdrawal: WithdrawalId
    etag: Etag
    envelope: Envelope
    """The intent with exactly one signature, the maker's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseWithdrawal:
    """Add the secured party's consent."""

    request_id: RequestId
    account: AccountId
    withdrawal: WithdrawalId
    etag: Etag
    envelope: Envelope
    """The release with exactly one signature, the secured party's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproveWithdrawal:
    """Add an approver's signature over the intent."""

    request_id: RequestId
    account: AccountId
    withdrawal: WithdrawalId
    etag: Etag
    envelope: Envelope
    """The intent with exactly one signature, the approver's."""


Consent = SignWithdrawal | ReleaseWithdrawal | ApproveWithdrawal


def sign(uow: UnitOfWork, command: SignWithdrawal, *, principal: Principal, now: Seconds) -> Withdrawal:
    """Add the maker's signature.

    Raises:
        AccountNotFound, NotFound: no such withdrawal in the caller's scope.
        PrincipalNotAllowed: the caller does not act for the maker.
        EtagStale, StateConflict, StatementStale: it is not, or no longer, awaiting signatures.
        StatementMismatch: other content than the intent on record.
        StatementSignature: not signed by the maker alone.
    """
    account = account_of(uow, command.account, principal=principal)
    maker = acting_party(account, principal)
    require_maker(uow, command.account, command.withdrawal, maker)
    return _once(
        uow,
        command,
        "consents.sign",
        principal=principal,
        effect=lambda: _sign(uow, command, account=account, maker=maker, now=now),
    )


def _sign(
    uow: UnitOfWork,
    command: SignWithdrawal,
    *,
    account: PledgeAccount,
    maker: Party,
    now: Seconds,
) -> Withdrawal:
    present = _awaiting(uow, command, account=account, now=now)
    require_same(command.envelope, present.intent_digest, tag=Tag.APPROVAL_WRONG_INTENT)
    require_single_signature(command.envelope, maker.public_key, tag=Tag.MAKER_MISSING, whose="the maker")
    return _collect(uow, account, present, Capacity.MAKER, maker.entity, intent=command.envelope, now=now)


def approve(uow: UnitOfWork, command: ApproveWithdrawal, *, principal: Principal, now: Seconds) -> Withdrawal:
    """Add an approver's signature. The quorum counts entities, the maker's never among them.

    Raises:
        AccountNotFound, NotFound: no such withdrawal in the caller's scope.
        PrincipalNotAllowed: the caller is no approver.
        EtagStale, StateConflict, StatementStale: it is not, or no longer, awaiting signatures.
        ApproverNotEligible: the maker's entity, one that has approved, or not the caller's own signature.
        StatementMismatch: other content than the intent on record.
        StatementSignature: not by an approver key of the policy.
    """
    require_role(principal, Role.APPROVER)
    account = account_of(uow, command.account, principal=principal)
    return _once(
        uow,
        command,
        "consents.approve",
        principal=principal,
        effect=lambda: _approve(uow, command, account=account, principal=principal, now=now),
    )


def _approve(
    uow: UnitOfWork,
    command: ApproveWithdrawal,
    *,
    account: PledgeAccount,
    principal: Principal,
    now: Seconds,
) -> Withdrawal:
    present = _awaiting(uow, command, account=account, now=now)
    policy = policy_in_force(uow).policy
    require_same(command.envelope, present.intent_digest, tag=Tag.APPROVAL_WRONG_INTENT)
    require_one_approver(command.envelope, policy=policy, principal=principal, now=now)
    merged = intent_envelope(present).with_signatures_of([command.envelope])
    with refusals(field="envelope"):
        approvals_of(present, merged, account=account, policy=policy, now=now)
    entity = principal.entity
    if entity is None:
        raise PrincipalNotAllowed(f"{principal.name} acts for no entity")
    return _collect(uow, account, present, Capacity.APPROVER, entity, intent=command.envelope, now=now)


def release(
    uow: UnitOfWork,
    command: ReleaseWithdrawal,
    *,
    principal: Principal,
    now: Seconds,
    prices: PriceSet,
    disputed: Collection[Asset],
) -> Withdrawal:
    """Add the secured party's consent to exactly this intent.

    Args:
        uow: the unit of work.
        command: what is asked.
        principal: the caller.
        now: the time.
        prices: as they stood when it was asked.
        disputed: assets whose chain was DISPUTED then.

    Raises:
        AccountNotFound, NotFound: no such withdrawal in the caller's scope.
        PrincipalNotAllowed: the caller does not act for the secured party.
        EtagStale, StateConflict: it is not awaiting signatures.
        PricesStale: what stays behind cannot be valued, by its prices or by its chain.
        StatementMalformed, StatementMismatch: not a release of this intent.
        StatementSignature: not signed by the secured party alone.
        StatementStale: the release or the intent has expired.
    """
    account = account_of(uow, command.account, principal=principal)
    require_party(principal, account.secured_party, role=Role.SECURED_PARTY)
    return _once(
        uow,
        command,
        "consents.release",
        principal=principal,
        effect=lambda: _release(uow, command, account=account, now=now, prices=prices, disputed=disputed),
    )


def _release(
    uow: UnitOfWork,
    command: ReleaseWithdrawal,
    *,
    account: PledgeAccount,
    now: Seconds,
    prices: PriceSet,
    disputed: Collection[Asset],
) -> Withdrawal:
    present = _awaiting(uow, command, account=account, now=now)
    secured = account.secured_party
    policy = policy_in_force(uow).policy
    require_priced(present.asset, policy=policy, prices=prices, disputed=disputed, now=now)
    intent = read(Intent, intent_envelope(present), network=policy.network)
    with refusals(field="envelope"):
        quorum.check_release(
            command.envelope, intent, account=statement_of(uow, account, policy=policy), at=now
        )
    require_single_signature(
        command.envelope, secured.public_key, tag=Tag.RELEASE_SIGNATURE, whose="the secured party"
    )
    return _collect(
        uow, account, present, Capacity.SECURED_PARTY, secured.entity, release=command.envelope, now=now
    )


def _once(
    uow: UnitOfWork,
    command: Consent,
    method: str,
    *,
    principal: Principal,
    effect: Callable[[], Withdrawal],
) -> Withdrawal:
    return once(
        uow,
        principal=principal,
        method=method,
        request_id=command.request_id,
        command=command,
        effect=effect,
    )


def _awaiting(uow: UnitOfWork, command: Consent, *, account: PledgeAccount, now: Seconds) -> Withdrawal:
    """The withdrawal, which awaits signatures and has not lapsed, without those of keys that were revoked."""
    present = withdrawal_of(uow, command.account, command.withdrawal)
    require_etag(command.etag, present.etag)
    step(present.state, WithdrawalEvent.COLLECTED)
    account.require_unhalted()
    if now >= present.expires_at:
        raise StatementStale(f"the intent expired at {present.expires_at}", tag=Tag.INTENT_EXPIRED)
    return _standing(present, account=account, policy=policy_in_force(uow).policy, now=now)


def _standing(present: Withdrawal, *, account: PledgeAccount, policy: Policy, now: Seconds) -> Withdrawal:
    """The withdrawal without the approvals of keys that were revoked since."""
    gathered = intent_envelope(present)
    maker = maker_of(present, account).public_key
    intent = without_revoked(gathered, policy=policy, maker=maker, now=now)
    dropped = {s.keyid for s in gathered.signatures} - {s.keyid for s in intent.signatures}
    signatures = tuple(each for each in present.signatures if each.keyid not in dropped)
    return replace(present, intent=intent, signatures=signatures)


def _collect(
    uow: UnitOfWork,
    account: PledgeAccount,
    present: Withdrawal,
    capacity: Capacity,
    entity: EntityId,
    *,
    now: Seconds,
    intent: Envelope | None = None,
    release: Envelope | None = None,
) -> Withdrawal:
    """Keep one more signature; the last one missing sends the withdrawal to the signers."""
    signature = (intent or release or intent_envelope(present)).signatures[0]
    collected = replace(
        present,
        intent=intent_envelope(present).with_signatures_of([intent] if intent else []),
        release=release or present.release,
        signatures=(
            *(s for s in present.signatures if (s.capacity, s.entity) != (capacity, entity)),
            Collected(capacity=capacity, entity=entity, keyid=signature.keyid, at=now),
        ),
    )
    missing = missing_of(collected, account=account, policy=policy_in_force(uow).policy, now=now)
    event = WithdrawalEvent.COLLECTED if missing else WithdrawalEvent.COMPLETED
    return save(uow, account, replace(collected, missing=missing, state=step(present.state, event)), now=now)


def missing_of(
    withdrawal: Withdrawal, *, account: PledgeAccount, policy: Policy, now: Seconds
) -> tuple[Missing, ...]:
    """What is still to be signed, by the tier of the amount; empty when nothing is."""
    envelope, maker = intent_envelope(withdrawal), maker_of(withdrawal, account)
    missing = []
    if not envelope.signed_by(maker.public_key):
        missing.append(Missing(capacity=Capacity.MAKER, entities=(maker.entity,), count=1))
    if withdrawal.release is None:
        secured = account.secured_party.entity
        missing.append(Missing(capacity=Capacity.SECURED_PARTY, entities=(secured,), count=1))
    reached = approvals_of(withdrawal, envelope, account=account, policy=policy, now=now)
    if reached.missing:
        candidates = tuple(sorted(reached.candidates))
        missing.append(Missing(capacity=Capacity.APPROVER, entities=candidates, count=reached.missing))
    return tuple(missing)


def approvals_of(
    withdrawal: Withdrawal, envelope: Envelope, *, account: PledgeAccount, policy: Policy, now: Seconds
) -> quorum.Quorum:
    """How far the approvers' quorum over an intent is.

    Raises:
        Refusal: as `quorum.approvals`.
    """
    return quorum.approvals(
        envelope,
        policy=policy,
        role=PolicyRole.APPROVER,
        required=policy.tier_of(withdrawal.amount).approvers,
        at=now,
        maker=maker_of(withdrawal, account),
    )
