"""The policy in force: pinned once, by the digest of the configuration and the signatures of its admins."""

from dataclasses import dataclass

from custody.application.ports.store import SignedPolicy, UnitOfWork
from custody.application.signed import read, refusals
from custody.domain.errors import PolicyForbids, StatementMismatch
from signers.statements import quorum
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Digest, Seconds
from signers.statements.network import Network
from signers.statements.policy import Policy, Role
from signers.statements.refusals import Tag


@dataclass(frozen=True, slots=True, kw_only=True)
class PinPolicy:
    """Put the policy of the configuration in force."""

    envelope: Envelope
    digest: Digest
    """What the configuration pins: a file that was exchanged does not load."""
    network: Network


def pin(uow: UnitOfWork, command: PinPolicy, *, now: Seconds) -> SignedPolicy:
    """Check the policy and put it in force; the same one again changes nothing.

    Raises:
        StatementMalformed, StatementMismatch: not this policy, or of another network.
        StatementSignature: fewer admin entities signed than the policy itself asks for.
        PolicyForbids: another policy is in force. Policies change by a chain of versions, not by a file.
    """
    if command.envelope.digest != command.digest:
        raise StatementMismatch(
            f"the policy is {command.envelope.digest}, pinned is {command.digest}",
            field="digest",
            tag=Tag.POLICY_DIGEST,
        )
    policy = read(Policy, command.envelope, network=command.network)
    with refusals(field="envelope"):
        quorum.approvals(
            command.envelope, policy=policy, role=Role.ADMIN, required=policy.admin_quorum, at=now
        ).require()
    present = uow.policy()
    if present is not None and present.digest != command.digest:
        raise PolicyForbids(f"policy {present.digest} is in force", data={"digest": present.digest})
    if present is not None:
        return present
    signed = SignedPolicy(policy=policy, envelope=command.envelope, digest=command.digest, pinned_at=now)
    uow.pin_policy(signed)
    return signed
