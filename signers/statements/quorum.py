"""Who agreed: maker, approvers, release, parties, admins.

A quorum counts distinct entities, never keys. What is merely not there yet is said in `missing`; what is
wrong is refused at once, because a wrong signature among right ones is an attack or a fault and never noise.
"""

from collections.abc import Collection
from dataclasses import dataclass

from signers.statements.account import Account, Party
from signers.statements.envelope import Envelope, Signature, verify
from signers.statements.identifiers import Ed25519Key, EntityId, Seconds
from signers.statements.intent import Intent, Release
from signers.statements.policy import Policy, PolicyKey, Role
from signers.statements.refusals import Refusal, Tag, refuse_unless


@dataclass(frozen=True, slots=True, kw_only=True)
class Quorum:
    """How far a quorum is."""

    required: int
    """Distinct entities."""
    approved: frozenset[EntityId]
    candidates: frozenset[EntityId]
    """Entities that could still approve."""

    @property
    def missing(self) -> int:
        """How many more entities are needed; 0 when the quorum stands."""
        return max(0, self.required - len(self.approved))

    def require(self) -> None:
        """Raise `policy-quorum` unless the quorum stands."""
        refuse_unless(
            self.missing == 0,
            Tag.POLICY_QUORUM,
            f"{len(self.approved)} of {self.required} entities: {sorted(self.approved)}",
        )


def approvals(
    envelope: Envelope,
    *,
    policy: Policy,
    role: Role,
    required: int,
    at: Seconds,
    maker: Party | None = None,
) -> Quorum:
    """Count the entities whose keys of `role` signed.

    Args:
        envelope: the statement with its signatures.
        policy: who may sign.
        role: as what.
        required: how many distinct entities.
        at: the time at which keys must not be revoked.
        maker: the party that asked. Its own signature stands among the others and is not counted.

    Raises:
        Refusal: `approval-key-unknown`, `approval-key-revoked`, `approval-wrong-intent` (a signature of
            something else), `policy-maker-checker` or `policy-duplicate-entity`.
    """
    keys = [key for key in policy.keys if key.role is role]
    counted: list[EntityId] = []
    for signature in envelope.signatures:
        if maker is not None and signature.keyid == maker.public_key.key_id:
            _verify(maker.public_key, signature, envelope)
            continue
        key = _key_of(signature, keys)
        _verify(key.public_key, signature, envelope)
        refuse_unless(
            key.revoked_at is None or at < key.revoked_at,
            Tag.APPROVAL_KEY_REVOKED,
            f"a key of {key.entity} is revoked",
        )
        refuse_unless(
            maker is None or key.entity != maker.entity,
            Tag.POLICY_MAKER_CHECKER,
            f"{key.entity} asked and may not approve",
        )
        refuse_unless(key.entity not in counted, Tag.POLICY_DUPLICATE_ENTITY, f"{key.entity} approved twice")
        counted.append(key.entity)
    makers: Collection[EntityId] = () if maker is None else (maker.entity,)
    standing = {key.entity for key in keys if key.revoked_at is None or at < key.revoked_at}
    return Quorum(
        required=required,
        approved=frozenset(counted),
        candidates=frozenset(standing.difference(counted, makers)),
    )


def _key_of(signature: Signature, keys: Collection[PolicyKey]) -> PolicyKey:
    for key in keys:
        if key.public_key.key_id == signature.keyid:
            return key
    raise Refusal(Tag.APPROVAL_KEY_UNKNOWN, f"no key {signature.keyid} in that role")


def _verify(key: Ed25519Key, signature: Signature, envelope: Envelope) -> None:
    refuse_unless(
        verify(key, signature.sig, envelope.message),
        Tag.APPROVAL_WRONG_INTENT,
        f"the signature of {signature.keyid} is not over this statement",
    )


def intent_quorum(
    envelope: Envelope, intent: Intent, *, account: Account, policy: Policy, at: Seconds
) -> Quorum:
    """The approvals of an intent, by the tier of its amount.

    Raises:
        Refusal: as `approvals`, `policy-tier`, or `maker-missing` (no party, or it did not sign). Also
            `approval-wrong-intent` where the envelope is not this intent's.
    """
    refuse_unless(
        envelope.message == intent.envelope().message,
        Tag.APPROVAL_WRONG_INTENT,
        f"the envelope is of {envelope.digest}, the intent is {intent.digest}",
    )
    maker = _maker(intent, account)
    quorum = approvals(
        envelope,
        policy=policy,
        role=Role.APPROVER,
        required=policy.tier_of(intent.amount).approvers,
        at=at,
        maker=maker,
    )
    refuse_unless(envelope.signed_by(maker.public_key), Tag.MAKER_MISSING, f"{maker.entity} has not signed")
    return quorum


def _maker(intent: Intent, account: Account) -> Party:
    try:
        return account.party(intent.maker)
    except LookupError as error:
        raise Refusal(Tag.MAKER_MISSING, str(error)) from error


def check_release(envelope: Envelope, intent: Intent, *, account: Account, at: Seconds) -> Release:
    """The secured party's consent to exactly this intent.

    Raises:
        Refusal: `release-signature`, `release-wrong-intent` or `release-expired`, or as `Statement.read`.
    """
    release = Release.read(envelope, network=intent.network)
    refuse_unless(
        envelope.signed_by(account.secured_party.public_key),
        Tag.RELEASE_SIGNATURE,
        f"not signed by {account.secured_party.entity}",
    )
    refuse_unless(
        (release.account, release.intent, release.intent_digest)
        == (intent.account, intent.intent, intent.digest),
        Tag.RELEASE_WRONG_INTENT,
        f"a release of {release.intent_digest}",
    )
    refuse_unless(at < release.expires_at, Tag.RELEASE_EXPIRED, f"expired at {release.expires_at}")
    return release


def missing_parties(envelope: Envelope, account: Account) -> tuple[EntityId, ...]:
    """The parties that have not signed the account statement; all of them where the envelope is another's."""
    if envelope.message != account.envelope().message:
        return tuple(party.entity for party in account.parties)
    return tuple(party.entity for party in account.parties if not envelope.signed_by(party.public_key))


def missing_signers(envelope: Envelope, policy: Policy) -> tuple[str, ...]:
    """The signers that have not co-signed the account statement."""
    return tuple(terms.signer for terms in policy.signers if not envelope.signed_by(terms.public_key))
