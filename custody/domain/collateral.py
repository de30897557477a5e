"""What collateral is worth: exact integers, rounded against the borrower (collateral.md).

Source of the haircut: SFC circular 26EC5 (11 Feb 2026), margin financing with virtual assets as collateral.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from signers.statements.amounts import UNITS_PER_COIN, Amount, Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import GENESIS, Currency, Digest, EntityId, Seconds, Value
from signers.statements.policy import HAIRCUT_FLOOR_BPS, PriceTerms
from signers.statements.report import ValueStatus

BPS: Final = 10_000


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What one coin is worth, and whether that can be lent against."""

    status: ValueStatus
    price: Value | None
    """The median; the last known one where the status is not OK."""
    at: Seconds | None
    """The oldest price behind it."""
    sources: int
    price_set: Digest
    """SHA-256 of the 32-byte digests of the price statements, by publisher; `GENESIS` for none."""


def quote(prices: Sequence[PublishedPrice], terms: PriceTerms, *, now: Seconds) -> Quote:
    """The price of an asset by the policy's terms.

    Args:
        prices: the latest of each publisher, of one asset, by publisher.
        terms: how many, how old, how far apart.
        now: the time.

    Returns:
        OK with the median of the fresh prices; DISPUTED where they lie too far apart; STALE where too few are
        fresh, with the median of what is known.
    """
    fresh = [price for price in prices if now - price.at <= terms.age_max_seconds]
    enough = len({price.publisher for price in fresh}) >= terms.publishers_min
    used = fresh if enough else list(prices)
    if not used:
        return Quote(status=ValueStatus.STALE, price=None, at=None, sources=0, price_set=GENESIS)
    units = sorted(price.price.units for price in used)
    middle = _median(units)
    apart = (units[-1] - units[0]) * BPS > terms.spread_max_bps * middle
    status = (ValueStatus.DISPUTED if apart else ValueStatus.OK) if enough else ValueStatus.STALE
    return Quote(
        status=status,
        price=Value(str(middle)),
        at=min(price.at for price in used),
        sources=len(used),
        price_set=price_set_digest(used),
    )


def _median(ordered: Sequence[int]) -> int:
    """The middle one, or the mean of the two in the middle, rounded down against the borrower."""
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) // 2


def price_set_digest(prices: Iterable[PublishedPrice]) -> Digest:
    """What a report cites of its prices."""
    return Digest(hashlib.sha256(b"".join(price.digest.raw for price in prices)).hexdigest())


def market_value(amount: Amount, price: Value) -> Value:
    """Quantity × price, rounded down, in 1e-8 of the currency."""
    return Value(str(amount.units * price.units // UNITS_PER_COIN[amount.asset]))


def lending_value(amount: Amount, price: Value, *, haircut_bps: int) -> Value:
    """Quantity × price × (1 - haircut), rounded down once, at the end.

    Raises:
        ValueError: a haircut below the floor. A policy cannot say so; this line does not depend on that.
    """
    if not HAIRCUT_FLOOR_BPS <= haircut_bps <= BPS:
        raise ValueError(f"a haircut is {HAIRCUT_FLOOR_BPS}..{BPS} basis points, not {haircut_bps}")
    scale = BPS * UNITS_PER_COIN[amount.asset]
    return Value(str(amount.units * price.units * (BPS - haircut_bps) // scale))
