"""The intent of one outflow, exactly as everybody signs it, and the secured party's release of it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Literal, final

from signers.statements.allowlist import Destination
from signers.statements.amounts import Amount, Asset
from signers.statements.identifiers import (
    AccountId,
    DestinationId,
    Digest,
    EntityId,
    IntentId,
    Seconds,
    TxId,
)
from signers.statements.statement import Statement, payload_type

INDEX_MAX = 2**32 - 2


@dataclass(frozen=True, slots=True, kw_only=True)
class OutpointAnchor:
    """The Bitcoin output that every attempt spends, so that at most one attempt can ever confirm."""

    kind: Literal["outpoint"] = "outpoint"
    txid: TxId
    index: int

    def __post_init__(self) -> None:
        if self.index > INDEX_MAX:
            raise ValueError(f"an output index is at most {INDEX_MAX}")

    @property
    def asset(self) -> Asset:
        """BTC."""
        return Asset.BTC


@dataclass(frozen=True, slots=True, kw_only=True)
class NonceAnchor:
    """The account nonce that every attempt uses, on one chain (EIP-155)."""

    kind: Literal["nonce"] = "nonce"
    chain_id: int
    nonce: int

    @property
    def asset(self) -> Asset:
        """ETH."""
        return Asset.ETH


Anchor = OutpointAnchor | NonceAnchor


@final
class IntentKind(StrEnum):
    """Why coins leave. Every outflow is one of these."""

    WITHDRAWAL = "withdrawal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent(Statement):
    """One payout, for ever. Signed by its maker and a quorum of approvers.

    Raises:
        ValueError: nothing to pay, a fee cap of nothing, more than can exist, or parts that speak of
            different assets.
    """

    TYPE: ClassVar[str] = payload_type("intent")

    intent: IntentId
    account: AccountId
    kind: IntentKind
    maker: EntityId
    """The party that asks; it signs, and never counts among the approvers."""
    destination_id: DestinationId
    destination: Destination
    amount: Amount
    """What arrives at the destination; the fee comes on top, from the account."""
    fee_cap: Amount
    """The most that all attempts may pay the network together."""
    anchor: Anchor
    policy_digest: Digest
    created_at: Seconds
    expires_at: Seconds
    """After this it is neither announced, nor signed by a signer that has not signed it before."""

    def __post_init__(self) -> None:
        if not self.amount or not self.fee_cap:
            raise ValueError("amount and fee_cap are more than nothing")
        assets = {self.amount.asset, self.fee_cap.asset, self.anchor.asset, self.destination.asset}
        if len(assets) != 1:
            raise ValueError("amount, fee_cap, anchor and destination are of one asset")
        _ = self.amount + self.fee_cap  # what is held from the account; raises where it cannot exist
        if self.expires_at <= self.created_at:
            raise ValueError("expires_at is not after created_at")

    @property
    def asset(self) -> Asset:
        """What leaves."""
        return self.amount.asset


@dataclass(frozen=True, slots=True, kw_only=True)
class Release(Statement):
    """The secured party's consent to one intent. Signed by its key of the account statement."""

    TYPE: ClassVar[str] = payload_type("release")

    account: AccountId
    intent: IntentId
    intent_digest: Digest
    expires_at: Seconds
    """As the intent's: consent to what stands, not to what lies around."""
