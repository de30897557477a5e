"""A withdrawal on record: the hold, the intent and who signed it, the signers' answers, the attempts."""

from dataclasses import dataclass
from enum import StrEnum
from typing import final

from custody.domain.chain_view import BlockRef
from custody.domain.deposit import Outpoint
from custody.domain.identifiers import Etag, TransactionId, WithdrawalId, etag_of
from custody.domain.withdrawal_states import OPEN, WithdrawalState
from signers.statements.allowlist import Destination
from signers.statements.amounts import Amount, Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import (
    AccountId,
    DestinationId,
    Digest,
    EntityId,
    KeyId,
    Seconds,
    SignerId,
)
from signers.statements.intent import Anchor
from signers.statements.receipt import Act
from signers.statements.refusals import Tag


@final
class Capacity(StrEnum):
    """In which capacity somebody signs for a withdrawal."""

    MAKER = "maker"
    SECURED_PARTY = "secured-party"
    APPROVER = "approver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """A signature that custody checked and passes on; signers check it themselves."""

    capacity: Capacity
    entity: EntityId
    keyid: KeyId
    at: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """What is still to be signed."""

    capacity: Capacity
    entities: tuple[EntityId, ...]
    """Any of which can give it."""
    count: int
    """How many of them must."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerAnswer:
    """A signer's receipt: announced, signed or refused."""

    signer: SignerId
    act: Act
    tags: tuple[Tag, ...]
    """The rules that refused; empty otherwise."""
    envelope: Envelope
    at: Seconds
    """By the signer's clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialSignatures:
    """What one signer signed of a Bitcoin attempt: one signature per input, in the transaction's order."""

    signer: SignerId
    signatures: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One transaction under the intent, on record before any signer is asked."""

    number: int
    """From 1."""
    fee: Amount
    """BTC: the fee. ETH: the most it can cost."""
    inputs: tuple[Outpoint, ...]
    """BTC: the coins it spends, the anchor among them. ETH: none."""
    partials: tuple[PartialSignatures, ...] = ()
    transaction_id: TransactionId | None = None
    raw: bytes | None = None
    """The complete transaction as nodes take it."""
    created_at: Seconds
    broadcast_at: Seconds | None = None
    """When a node was known to have it, from us or in a block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """The block that holds an attempt, and what it cost."""

    attempt: int
    block: BlockRef
    paid: Amount
    """What left for the destination; 0 where an Ethereum transaction failed."""
    fee: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """One outflow. What everybody signed stands in `intent`; nothing beside it decides anything."""

    account: AccountId
    withdrawal: WithdrawalId
    amount: Amount
    fee_cap: Amount
    destination_id: DestinationId
    destination: Destination
    maker: EntityId
    state: WithdrawalState
    account_sequence: int = 0
    expires_at: Seconds
    """When it lapses unless every signature is in: while REQUESTED the policy's longest life of an intent."""
    intent: Envelope | None = None
    """With the signatures of maker and approvers so far."""
    intent_digest: Digest | None = None
    anchor: Anchor | None = None
    coins: tuple[Outpoint, ...] = ()
    """BTC: the coins set aside, the anchor among them."""
    signatures: tuple[Collected, ...] = ()
    release: Envelope | None = None
    missing: tuple[Missing, ...] = ()
    announcements: tuple[SignerAnswer, ...] = ()
    signed_receipts: tuple[SignerAnswer, ...] = ()
    refusals: tuple[SignerAnswer, ...] = ()
    """The latest of each signer and rule."""
    attempts: tuple[Attempt, ...] = ()
    timelock_ends_at: Seconds | None = None
    """At the earliest: signers count blocks too, by their own nodes."""
    confirmation: Confirmation | None = None
    settled_at: Seconds | None = None
    created_at: Seconds
    updated_at: Seconds

    @property
    def asset(self) -> Asset:
        """What leaves."""
        return self.amount.asset

    @property
    def held(self) -> Amount:
        """What is set aside for it."""
        return self.amount + self.fee_cap

    @property
    def open(self) -> bool:
        """Whether it still holds units."""
        return self.state in OPEN

    @property
    def etag(self) -> Etag:
        """Covers the intent and the state, not the signatures collected."""
        return etag_of(self.intent_digest, self.state)

    @property
    def forgone(self) -> frozenset[SignerId]:
        """The signers whose signed word is that they never signed the intent and never will: it is over."""
        never = {answer.signer for answer in self.refusals if Tag.AUTHORITY_EXPIRED in answer.tags}
        return frozenset(never - {answer.signer for answer in self.signed_receipts})

    @property
    def attempt(self) -> Attempt | None:
        """The latest attempt."""
        return self.attempts[-1] if self.attempts else None

    @property
    def payout(self) -> Attempt | None:
        """The latest attempt whose transaction is on record: what nodes are given."""
        return next((each for each in reversed(self.attempts) if each.raw is not None), None)

    @property
    def sent(self) -> Attempt | None:
        """The latest attempt that a node has had."""
        return next((each for each in reversed(self.attempts) if each.broadcast_at is not None), None)
