"""The one policy that this signer follows, checked before anything else is."""

from __future__ import annotations

from signers.journal import Journal, PolicyPinned, document
from signers.rules.signer import Signer
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Digest, Seconds
from signers.statements.network import Network
from signers.statements.policy import Policy, Role
from signers.statements.quorum import approvals
from signers.statements.refusals import Tag, refuse_unless

APPROVERS_MIN_ON_MAINNET = 2


class PolicyUnfit(Exception):  # noqa: N818 - named for what is the case
    """The policy is none that this signer may follow; it does not start."""


def read_policy(data: bytes, *, network: Network, pinned: Digest, at: Seconds) -> tuple[Policy, Envelope]:
    """The pinned policy, signed by its own admins' quorum.

    Args:
        data: the envelope's JSON, from wherever.
        network: which the policy must be of.
        pinned: the digest that this signer's configuration names.
        at: the time at which the admins' keys must not be revoked.

    Raises:
        Refusal: `policy-digest`, `policy-shared-key`, or what makes it no statement or its quorum none.
        PolicyUnfit: too weak for mainnet.
    """
    envelope = Envelope.from_json(data)
    refuse_unless(
        envelope.digest == pinned, Tag.POLICY_DIGEST, f"the policy is {envelope.digest}, {pinned} is pinned"
    )
    policy = Policy.read(envelope, network=network)
    approvals(envelope, policy=policy, role=Role.ADMIN, required=policy.admin_quorum, at=at).require()
    if network is Network.MAINNET:
        _require_strong(policy)
    return policy, envelope


def _require_strong(policy: Policy) -> None:
    """What development may do and production may not."""
    faults = {
        "a quorum of one": min(policy.allowlist_approvers, *(tier.approvers for tier in policy.tiers))
        < APPROVERS_MIN_ON_MAINNET,
        "one admin": policy.admin_quorum < APPROVERS_MIN_ON_MAINNET,
        "no cooling-off": policy.allowlist_cooling_seconds == 0,
        "a tier without timelock": any(not tier.timelock_seconds for tier in policy.tiers),
    }
    found = [name for name, present in faults.items() if present]
    if found:
        raise PolicyUnfit(f"mainnet does not allow {', '.join(found)}")


def require_its_policy(journal: Journal, policy: Policy) -> None:
    """The journal was kept under this policy, or is new.

    Raises:
        Refusal: `policy-digest`.
    """
    pinned = journal.views.policy
    refuse_unless(
        pinned is None or pinned.policy_digest == policy.digest,
        Tag.POLICY_DIGEST,
        f"the journal was kept under another policy than {policy.digest}",
    )


def pin(signer: Signer) -> None:
    """Write the policy into a journal that has none yet.

    Only once the journal is confirmed: an empty one may be one that was taken away.

    Raises:
        Refusal: `policy-digest` where the journal was kept under another policy; `journal-behind`.
    """
    require_its_policy(signer.journal, signer.policy)
    if signer.journal.views.policy is None:
        entry = PolicyPinned(policy_digest=signer.policy_digest, policy=document(signer.policy_envelope))
        signer.journal.append(entry, at=signer.wall_clock())
