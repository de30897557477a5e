"""Repeats the valuation of a report: exact integers, rounded against the borrower.

Source of the haircut and of what a price must be: SFC circular 26EC5 (11 Feb 2026), through the policy.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from custody.client.errors import VerificationError
from signers.statements.amounts import UNITS_PER_COIN, Amount, Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import GENESIS, Digest, Seconds, Value
from signers.statements.network import Network
from signers.statements.policy import Policy, Role
from signers.statements.price import Price
from signers.statements.refusals import Refusal
from signers.statements.report import AssetPosition, Report, ValueStatus

BPS: Final = 10_000
CLOCK_TOLERANCE_SECONDS: Final = 5
"""How far a publisher's clock may run ahead. A price from later would stay fresh for too long."""


def market_value(units: int, asset: Asset, price: Value) -> int:
    """Quantity × price, rounded down, in 1e-8 of the currency."""
    return units * price.units // UNITS_PER_COIN[asset]


def lending_value(units: int, asset: Asset, price: Value, *, haircut_bps: int) -> int:
    """Quantity × price × (1 - haircut), rounded down once, at the end."""
    return units * price.units * (BPS - haircut_bps) // (BPS * UNITS_PER_COIN[asset])


def check_report(report: Report, policy: Policy) -> None:
    """Repeat every number of a report that follows from others, by the policy's terms.

    Raises:
        VerificationError: it says another number, or leaves an asset of the policy out.
    """
    if report.currency != policy.prices.currency:
        raise VerificationError(
            f"a report in {report.currency}, the policy values in {policy.prices.currency}"
        )
    if {p.asset for p in report.positions} != {terms.asset for terms in policy.assets}:
        raise VerificationError("the report does not have the assets of the policy")
    for position in report.positions:
        _check_quantities(position)
        _check_price(position, report, policy)
        _check_values(position, policy)


def _check_quantities(position: AssetPosition) -> None:
    parts = (position.reserved, position.posted, position.withdrawing, position.free)
    standing = sum(part.units for part in parts) - position.shortfall.units
    if position.confirmed.units != max(0, standing):
        raise VerificationError(
            f"{position.asset}: confirmed is {position.confirmed}, its parts are {standing}"
        )


def _check_price(position: AssetPosition, report: Report, policy: Policy) -> None:
    if position.status is not ValueStatus.OK:
        return
    terms = policy.prices
    if position.price is None or position.price_at is None or position.price_sources < terms.publishers_min:
        raise VerificationError(f"{position.asset}: valued with {position.price_sources} prices")
    age = report.at - position.price_at
    if not -CLOCK_TOLERANCE_SECONDS <= age <= terms.age_max_seconds:
        raise VerificationError(f"{position.asset}: valued with a price of {age} s before the report")


def _check_values(position: AssetPosition, policy: Policy) -> None:
    units, asset, haircut = (
        position.confirmed.units,
        position.asset,
        policy.terms_of(position.asset).haircut_bps,
    )
    lent = position.status is ValueStatus.OK
    market = 0 if position.price is None else market_value(units, asset, position.price)
    lending = (
        lending_value(units, asset, position.price, haircut_bps=haircut) if lent and position.price else 0
    )
    follows = (haircut, market, lending, 0)
    says = (
        position.haircut_bps,
        position.market_value.units,
        position.lending_value.units,
        position.capital_value.units,
    )
    if says != follows:
        raise VerificationError(
            f"{asset}: haircut, market, lending and capital value are {says}, where {follows} follows"
        )


def lendable_value(report: Report, policy: Policy, *, released: Mapping[Asset, int], now: Seconds) -> Value:
    """What can be lent against, at this moment, for a secured party that trusts no hold but its own.

    Args:
        report: verified.
        policy: whose terms value it.
        released: smallest units per asset that can still leave on releases this party signed.
        now: the reader's own time.

    Returns:
        1e-8 of the policy's currency. A halted account, and an asset whose price is no longer fresh, count 0.
    """
    total = 0
    for position in report.positions:
        price, at = position.price, position.price_at
        if report.halted or position.status is not ValueStatus.OK or price is None or at is None:
            continue
        if not -CLOCK_TOLERANCE_SECONDS <= now - at <= policy.prices.age_max_seconds:
            continue
        # What is leaving is out of `confirmed` already: deducted once more, a payout would look like two.
        outstanding = max(0, released.get(position.asset, 0) - position.leaving.units)
        left = max(0, position.confirmed.units - outstanding)
        haircut = policy.terms_of(position.asset).haircut_bps
        total += lending_value(left, position.asset, price, haircut_bps=haircut)
    return Value(str(total))


def verify_price(envelope: Envelope, policy: Policy, *, network: Network) -> Price:
    """A price that a publisher of the policy signed.

    Raises:
        VerificationError: nobody who may has signed it.
    """
    try:
        price = Price.read(envelope, network=network)
    except Refusal as error:
        raise VerificationError(f"price: {error}") from error
    keys = [
        key.public_key
        for key in policy.keys
        if key.role is Role.PUBLISHER and key.entity == price.publisher and _stands(key.revoked_at, price.at)
    ]
    if not any(envelope.signed_by(key) for key in keys):
        raise VerificationError(f"a price that {price.publisher} has not signed")
    return price


def _stands(revoked_at: Seconds | None, at: Seconds) -> bool:
    return revoked_at is None or at < revoked_at


def cited_prices(position: AssetPosition, prices: Iterable[Price]) -> tuple[Price, ...]:
    """The prices that a position was valued with, if they are all still at hand, and the median repeated.

    Args:
        position: of a verified report.
        prices: verified; the latest of each publisher.

    Returns:
        The prices by publisher; empty where the report cites older ones, which cannot be repeated any more.

    Raises:
        VerificationError: these prices have another median.
    """
    known = sorted((p for p in prices if p.asset is position.asset), key=lambda price: price.publisher)
    cited = next((used for used in _subsets(known) if price_set(used) == position.price_set), ())
    if cited and position.price != _median([price.price.units for price in cited]):
        raise VerificationError(
            f"{position.asset}: the prices cited have another median than {position.price}"
        )
    return tuple(cited)


def _subsets(known: Sequence[Price]) -> list[Sequence[Price]]:
    """All of them, or all but the oldest ones: the sets that freshness can have left."""
    by_age = sorted(known, key=lambda price: price.at)
    dropped = [set(map(id, by_age[:count])) for count in range(len(by_age))]
    return [[price for price in known if id(price) not in gone] for gone in dropped]


def price_set(prices: Collection[Price]) -> Digest:
    """What a report cites: SHA-256 of the 32-byte digests of the price statements, by publisher."""
    if not prices:
        return GENESIS
    return Digest(hashlib.sha256(b"".join(price.digest.raw for price in prices)).hexdigest())


def _median(units: Sequence[int]) -> Value:
    ordered, half = sorted(units), len(units) // 2
    middle = ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) // 2
    return Value(str(middle))


def total_of(amounts: Iterable[Amount]) -> dict[Asset, int]:
    """Smallest units per asset."""
    totals: dict[Asset, int] = {}
    for amount in amounts:
        totals[amount.asset] = totals.get(amount.asset, 0) + amount.units
    return totals
