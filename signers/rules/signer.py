"""One signer: what it is configured with, and what every rule may look at."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from signers.journal import Journal
from signers.keys.port import AccountKeys, JointKeys, JointMode, StatementSigner
from signers.peers.port import Peers
from signers.rules.chains import Chain
from signers.rules.reconciliation import Reconciliation
from signers.statements.account import EthereumCustody
from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope, Signature
from signers.statements.identifiers import AccountId, Digest, KeyId, Seconds, SignerId
from signers.statements.network import Network
from signers.statements.policy import Policy
from signers.statements.refusals import Tag, refuse_unless
from signers.statements.statement import Statement

_STRIPES: Final = 64
_CUSTODY: Final[dict[JointMode, EthereumCustody]] = {JointMode.SINGLE_HOLDER: "single-holder"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Clockwork:
    """How far this signer's clock and its nodes may be apart."""

    skew_max_seconds: Seconds
    """Between the wall clock and a chain's median time past."""
    tip_age_max_seconds: Mapping[Asset, Seconds]
    """Since the best block: an older one means a node that is cut off."""


class AccountLocks:
    """One decision at a time per account; bounded, whatever ids are asked for."""

    def __init__(self) -> None:
        self._locks = [asyncio.Lock() for _ in range(_STRIPES)]

    def of(self, account: AccountId) -> asyncio.Lock:
        """The lock of an account; two accounts may share one."""
        return self._locks[hashlib.sha256(account.encode()).digest()[0] % _STRIPES]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Everything a flow needs. Made once, in `signers.main`."""

    id: SignerId
    network: Network
    policy: Policy
    policy_envelope: Envelope
    """With the admins' signatures."""
    journal: Journal
    statements: StatementSigner
    keys: AccountKeys
    joint: JointKeys
    chains: Mapping[Asset, Chain]
    peers: Peers
    reconciliation: Reconciliation
    clockwork: Clockwork
    wall_clock: Callable[[], Seconds]
    locks: AccountLocks = field(default_factory=AccountLocks)

    @property
    def participants(self) -> tuple[SignerId, ...]:
        """All signers of the policy, in its order."""
        return tuple(terms.signer for terms in self.policy.signers)

    @property
    def peer_ids(self) -> tuple[SignerId, ...]:
        """The others."""
        return tuple(signer for signer in self.participants if signer != self.id)

    @property
    def policy_digest(self) -> Digest:
        """Of the one policy this signer follows."""
        return self.policy.digest

    @property
    def ethereum_custody(self) -> EthereumCustody:
        """How ETH keys are held; named in every receipt of an outflow of ETH."""
        return _CUSTODY[self.joint.mode]

    def require_ready(self) -> None:
        """Nothing is decided before the peers have confirmed the journal and this very policy stands in it.

        Raises:
            Refusal: `journal-behind` or `policy-digest`.
        """
        self.reconciliation.require()
        pinned = self.journal.views.policy
        refuse_unless(
            pinned is not None and pinned.policy_digest == self.policy_digest,
            Tag.POLICY_DIGEST,
            f"the journal is not kept under {self.policy_digest}",
        )

    def now(self) -> Seconds:
        """Wall time, never below the journaled high-water mark: a clock set back undoes nothing."""
        return max(self.wall_clock(), self.journal.views.high_water)

    async def sealed(self, statement: Statement) -> Envelope:
        """A statement of this signer's own, signed. Ed25519: the same statement gives the same bytes."""
        return await self.countersigned(statement.envelope())

    async def countersigned(self, envelope: Envelope) -> Envelope:
        """The envelope with this signer's signature added."""
        signature = await self.statements.sign(envelope.message)
        return envelope.with_signature(Signature(KeyId(self.statements.key_id), signature))
