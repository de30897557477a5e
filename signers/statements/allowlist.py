"""Where the coins of one account may go. Signed by the pledgor, then by the policy's quorum."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from signers.statements.amounts import Asset
from signers.statements.identifiers import (
    AccountId,
    DestinationId,
    EthereumAddress,
    Proof,
    ScriptPubKey,
    Seconds,
)
from signers.statements.network import Network
from signers.statements.statement import Statement, payload_type


@dataclass(frozen=True, slots=True, kw_only=True)
class BitcoinDestination:
    """An output script; never display text."""

    kind: Literal["bitcoin"] = "bitcoin"
    script_pubkey: ScriptPubKey

    @property
    def asset(self) -> Asset:
        """BTC."""
        return Asset.BTC

    @property
    def location(self) -> str:
        """As the chain names it."""
        return self.script_pubkey


@dataclass(frozen=True, slots=True, kw_only=True)
class EthereumDestination:
    """A 20-byte address; never display text."""

    kind: Literal["ethereum"] = "ethereum"
    address: EthereumAddress

    @property
    def asset(self) -> Asset:
        """ETH."""
        return Asset.ETH

    @property
    def location(self) -> str:
        """As the chain names it."""
        return self.address


Destination = BitcoinDestination | EthereumDestination


def ownership_message(
    *, network: Network, account: AccountId, destination_id: DestinationId, destination: Destination
) -> str:
    """What the destination's owner signs (BIP-322 for a script, EIP-191 for an address)."""
    where = f"{destination.kind} {destination.location}"
    return f"bailee allowlist {network.value} {account} {destination_id} {where}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowlistEntry(Statement):
    """One destination of one account, usable only after its cooling-off."""

    TYPE: ClassVar[str] = payload_type("allowlist-entry")

    account: AccountId
    destination_id: DestinationId
    destination: Destination
    proof: Proof
    """The destination's signature over `ownership_message`: BIP-322 base64, or EIP-191 hexadecimal."""
    created_at: Seconds
    usable_at: Seconds
    """At least the policy's cooling-off after `created_at`; each signer counts from when it first saw it."""

    def __post_init__(self) -> None:
        if self.usable_at < self.created_at:
            raise ValueError("usable_at is before created_at")
