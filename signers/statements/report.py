"""Collateral reports: a computation over evidence that the reader can repeat.

Custody values all accounts as one batch when state or prices change; its attestation key signs the Merkle
root of the batch once. A reader gets a report, its path, and the signed root.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, final

from signers.statements.account import EthereumCustody
from signers.statements.amounts import Amount, Asset
from signers.statements.identifiers import AccountId, BlockHash, Currency, Digest, Seconds, Value
from signers.statements.statement import Statement, payload_type


@final
class ValueStatus(StrEnum):
    """Whether a value can be lent against."""

    OK = "ok"
    STALE = "stale"
    """Too few fresh prices."""
    DISPUTED = "disputed"
    """The publishers, or the nodes, disagree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainPoint:
    """Where a chain was looked at: BTC its tip, ETH its finalised block.

    There the address holds, of BTC, confirmed + pending; of ETH, confirmed + leaving: what is leaving left
    above the finalised block, as what is pending came in above it.
    """

    height: int
    block_hash: BlockHash


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetPosition:
    """One asset of one account: quantities, then what they are worth.

    Raises:
        ValueError: quantities of another asset, a price without its time, or a lending value of what cannot
            be lent against.
    """

    asset: Asset
    confirmed: Amount
    """Credited and still at the address: reserved + posted + withdrawing + free - shortfall."""
    pending: Amount
    """Seen and not yet credited; lent against at 0."""
    reserved: Amount
    posted: Amount
    withdrawing: Amount
    """Held for a requested outflow and still at the address: amount and fee cap, less what is leaving."""
    leaving: Amount
    """Taken by a payout in a block that is not final yet: gone from the address, in none of the others, lent
    against at 0. A reorganisation may bring it back."""
    free: Amount
    shortfall: Amount
    """Encumbered or paid out, and then removed by a reorganisation."""
    status: ValueStatus
    price: Value | None
    """Median of the publishers, 1e-8 of the currency per coin; the last known one where not OK."""
    price_at: Seconds | None
    """The oldest of the prices behind it."""
    price_sources: int
    price_set: Digest
    """SHA-256 of the price statements' digests in order; `GENESIS` where there is none."""
    haircut_bps: int
    market_value: Value
    lending_value: Value
    """confirmed × price × (1 - haircut), rounded down; 0 unless OK."""
    capital_value: Value
    """0 today: 100 % haircut under the Financial Resources Rules."""
    seen_at: ChainPoint

    def __post_init__(self) -> None:
        quantities = (self.confirmed, self.pending, self.reserved, self.posted, self.withdrawing, self.free)
        if any(q.asset is not self.asset for q in (*quantities, self.leaving, self.shortfall)):
            raise ValueError("a position speaks of one asset")
        if (self.price is None) is not (self.price_at is None):
            raise ValueError("a price and its time stand together")
        if self.lending_value.units and self.status is not ValueStatus.OK:
            raise ValueError(f"a value that is {self.status} lends nothing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report(Statement):
    """One account at one moment: a leaf of a batch, never signed by itself."""

    TYPE: ClassVar[str] = payload_type("report")

    account: AccountId
    account_sequence: int
    """The account's ledger up to here."""
    at: Seconds
    currency: Currency
    policy_digest: Digest
    encumbrance_head: Digest
    encumbrance_sequence: int
    ethereum_custody: EthereumCustody
    halted: bool
    positions: tuple[AssetPosition, ...]

    def __post_init__(self) -> None:
        if len({position.asset for position in self.positions}) != len(self.positions):
            raise ValueError("positions has one entry per asset")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportBatch(Statement):
    """The signed root over the reports of all accounts. Signed by custody's attestation key."""

    TYPE: ClassVar[str] = payload_type("report-batch")

    sequence: int
    previous: Digest
    """The batch before; `GENESIS` for the first."""
    root: Digest
    """RFC 6962 tree head over the reports' canonical bytes, in order of account id."""
    size: int
    at: Seconds
