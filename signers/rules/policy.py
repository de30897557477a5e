"""The one policy that this signer follows, checked before anything else is."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from signers.journal import Journal, PolicyPinned, document
from signers.rules.signer import Signer
from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Digest, Seconds
from signers.statements.network import Network
from signers.statements.policy import Policy, Role
from signers.statements.quorum import approvals
from signers.statements.refusals import Tag, refuse_unless

APPROVERS_MIN: Final = 2
"""One entity alone is no quorum."""
COOLING_SECONDS_MIN: Final = Seconds(24 * 3600)
"""A day: whoever's key may have been stolen is awake once in it."""
TIMELOCK_SECONDS_MIN: Final = Seconds(3600)
"""An hour: the least in which somebody who is called can look at an announcement and answer it."""
TIMELOCK_BLOCKS_MIN: Final = {Asset.BTC: 3, Asset.ETH: 150}
"""Half of what comes in that hour on average: blocks come unevenly, and a clock can be set."""
WINDOW_SECONDS_MIN: Final = Seconds(24 * 3600)
"""A day: a limit of each hour could be taken again and again in one night."""
BITCOIN_DEPTH_MIN: Final = 6
"""A miner of a tenth of the work overtakes six blocks in one of four thousand tries (Nakamoto 2008, § 11)."""


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
    """What development may do and production may not: rules that hold, and protect from nothing."""
    tiers = sorted(policy.tiers, key=lambda tier: tier.up_to.asset)  # each asset's stay in their order
    larger = [(a, b) for a, b in pairwise(tiers) if a.up_to.asset is b.up_to.asset]
    faults = {
        "a quorum of one": min(policy.allowlist_approvers, *(t.approvers for t in tiers)) < APPROVERS_MIN,
        "one admin": policy.admin_quorum < APPROVERS_MIN,
        f"a cooling-off below {COOLING_SECONDS_MIN} s": policy.allowlist_cooling_seconds
        < COOLING_SECONDS_MIN,
        f"a timelock below {TIMELOCK_SECONDS_MIN} s or the blocks of half that time": any(
            t.timelock_seconds < TIMELOCK_SECONDS_MIN
            or t.timelock_blocks < TIMELOCK_BLOCKS_MIN[t.up_to.asset]
            for t in tiers
        ),
        "a larger amount with fewer approvers or a shorter timelock": any(
            b.approvers < a.approvers
            or b.timelock_seconds < a.timelock_seconds
            or b.timelock_blocks < a.timelock_blocks
            for a, b in larger
        ),
        f"a limit's window below {WINDOW_SECONDS_MIN} s": any(
            limit.window_seconds < WINDOW_SECONDS_MIN for limit in policy.limits
        ),
        # Final is no earlier: the policy's own type sees to that.
        f"bitcoin credited before {BITCOIN_DEPTH_MIN} blocks": any(
            terms.asset is Asset.BTC and terms.confirmations < BITCOIN_DEPTH_MIN for terms in policy.assets
        ),
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
