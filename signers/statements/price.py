"""A publisher's word on one price. Publishers are pinned by the policy and live outside custody."""

from dataclasses import dataclass
from typing import ClassVar

from signers.statements.amounts import Asset
from signers.statements.identifiers import Currency, EntityId, Seconds, Value
from signers.statements.statement import Statement, payload_type


@dataclass(frozen=True, slots=True, kw_only=True)
class Price(Statement):
    """The price of one coin (not of one smallest unit).

    Raises:
        ValueError: a price of nothing.
    """

    TYPE: ClassVar[str] = payload_type("price")

    publisher: EntityId
    asset: Asset
    currency: Currency
    price: Value
    """1e-8 of the currency per BTC or ETH."""
    sequence: int
    """Strictly rising per publisher and asset; an older one is refused."""
    at: Seconds

    def __post_init__(self) -> None:
        if not self.price.units:
            raise ValueError("a price is more than nothing")
