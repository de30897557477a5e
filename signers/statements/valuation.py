"""What collateral is worth: exact integers, rounded against the borrower.

One rule for who publishes a value and for who repeats it. Source of the haircut and of what a price must be:
SFC circular 26EC5 (11 Feb 2026), margin financing with virtual assets as collateral.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from signers.statements.amounts import UNITS_PER_COIN, Amount
from signers.statements.identifiers import GENESIS, Digest, EntityId, Seconds, Value
from signers.statements.policy import HAIRCUT_FLOOR_BPS, PriceTerms
from signers.statements.report import ValueStatus

BPS: Final = 10_000
PUBLISHER_CLOCK_TOLERANCE_SECONDS: Final = 5
"""How far a publisher's clock may run ahead. A price from later would stay fresh for too long."""


class Quotable(Protocol):
    """A publisher's word on the price of one asset, its signature checked."""

    @property
    def publisher(self) -> EntityId:
        """Who says so."""

    @property
    def price(self) -> Value:
        """1e-8 of the currency per coin."""

    @property
    def sequence(self) -> int:
        """Of the publisher's prices of this asset."""

    @property
    def at(self) -> Seconds:
        """When it was observed."""

    @property
    def digest(self) -> Digest:
        """Of the statement."""


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
    """What a report cites of its prices; `GENESIS` for none."""


def quote(prices: Iterable[Quotable], terms: PriceTerms, *, now: Seconds) -> Quote:
    """The price of an asset by the policy's terms.

    Args:
        prices: of one asset, in the policy's currency. Of each publisher its latest one counts, and once.
        terms: how many, how old, how far apart.
        now: the time.

    Returns:
        OK with the median of the fresh prices; DISPUTED where they lie too far apart; STALE where too few are
        fresh, with the median of what is known.
    """
    known = _latest(prices)
    fresh = [price for price in known if is_fresh(price.at, terms, now=now)]
    enough = len(fresh) >= terms.publishers_min
    used = fresh if enough else known
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
        price_set=price_set(used),
    )


def is_fresh(at: Seconds, terms: PriceTerms, *, now: Seconds) -> bool:
    """Whether a price of that time can be lent against."""
    return -PUBLISHER_CLOCK_TOLERANCE_SECONDS <= now - at <= terms.age_max_seconds


def _latest(prices: Iterable[Quotable]) -> list[Quotable]:
    """One price of each publisher, by publisher: whoever speaks three times is still one."""
    latest: dict[EntityId, Quotable] = {}
    for price in sorted(prices, key=lambda price: (price.sequence, price.at)):
        latest[price.publisher] = price
    return [latest[publisher] for publisher in sorted(latest)]


def _median(ordered: Sequence[int]) -> int:
    """The middle one, or the mean of the two in the middle, rounded down against the borrower."""
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) // 2


def price_set(prices: Collection[Quotable]) -> Digest:
    """SHA-256 of the 32-byte digests of the price statements, by publisher; `GENESIS` for none."""
    if not prices:
        return GENESIS
    by_publisher = sorted(prices, key=lambda price: price.publisher)
    return Digest.of(b"".join(price.digest.raw for price in by_publisher))


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
