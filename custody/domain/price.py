"""The prices on record. What they make collateral worth is `signers.statements.valuation`'s rule."""

from dataclasses import dataclass

from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Currency, Digest, EntityId, Seconds, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPrice:
    """The latest price of one asset by one publisher."""

    publisher: EntityId
    asset: Asset
    currency: Currency
    price: Value
    """1e-8 of the currency per coin."""
    sequence: int
    at: Seconds
    digest: Digest
    envelope: Envelope
    created_at: Seconds
    updated_at: Seconds


@dataclass(frozen=True, slots=True)
class PriceSet:
    """The latest price of every publisher and asset, as it stood when a command was made."""

    prices: tuple[PublishedPrice, ...] = ()

    def of(self, asset: Asset) -> tuple[PublishedPrice, ...]:
        """Those of one asset, by publisher."""
        return tuple(sorted((p for p in self.prices if p.asset is asset), key=lambda p: p.publisher))
