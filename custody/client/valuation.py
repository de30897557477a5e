"""Repeats the valuation of a report, and values its quantities anew at the publishers' own prices.

Both by the rule of `signers.statements.valuation`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from custody.client.errors import VerificationError
from signers.statements.amounts import Asset, amount_of
from signers.statements.envelope import Envelope
from signers.statements.identifiers import GENESIS, Seconds, Value
from signers.statements.network import Network
from signers.statements.policy import Policy, Role
from signers.statements.price import Price
from signers.statements.refusals import Refusal
from signers.statements.report import AssetPosition, Report, ValueStatus
from signers.statements.valuation import Quote, is_fresh, lending_value, market_value, price_set, quote

REPORT_AGE_MAX_SECONDS: Final = 900
"""Custody repeats a report after 300 s at the latest. One that is older says nothing about now."""


def is_recent(report: Report, *, now: Seconds) -> bool:
    """Whether a report still says what is there."""
    return now - report.at <= REPORT_AGE_MAX_SECONDS


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
    _check_encumbrances(report)
    for position in report.positions:
        _check_quantities(position)
        _check_price(position, report, policy)
        _check_values(position, policy)


def _check_encumbrances(report: Report) -> None:
    none = report.encumbrance_sequence == 0
    if none is not (report.encumbrance_head == GENESIS):
        raise VerificationError(f"encumbrance {report.encumbrance_sequence} is {report.encumbrance_head}")
    if none and any(position.reserved or position.posted for position in report.positions):
        raise VerificationError("liens, where the secured party has signed none")


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
    if not is_fresh(position.price_at, terms, now=report.at):
        age = report.at - position.price_at
        raise VerificationError(f"{position.asset}: valued with a price of {age} s before the report")


def _check_values(position: AssetPosition, policy: Policy) -> None:
    quantity, price = position.confirmed, position.price
    haircut, nothing = policy.terms_of(position.asset).haircut_bps, Value("0")
    market = lending = nothing
    if price is not None:
        market = market_value(quantity, price)
        if position.status is ValueStatus.OK:
            lending = lending_value(quantity, price, haircut_bps=haircut)
    follows = (haircut, market, lending, nothing)
    says = (position.haircut_bps, position.market_value, position.lending_value, position.capital_value)
    if says != follows:
        raise VerificationError(
            f"{position.asset}: haircut, market, lending, capital value are {says}, where {follows} follows"
        )


def lending_values(
    report: Report,
    policy: Policy,
    *,
    prices: Collection[Price],
    released: Mapping[Asset, int],
    now: Seconds,
) -> dict[Asset, Value]:
    """What each asset can be lent against at this moment, at the publishers' own prices.

    Args:
        report: verified. Its quantities are custody's word; its prices are not looked at.
        policy: whose terms value it.
        prices: verified; the latest of each publisher.
        released: smallest units per asset that can still leave on releases this party signed.
        now: the reader's own time.

    Returns:
        1e-8 of the policy's currency. 0 for a report that is not recent, for a halted account, for an asset
        that custody itself marks stale or disputed, and where too few publishers' prices are fresh and agree.
    """
    return {
        position.asset: _lending_value(position, report, policy, prices=prices, released=released, now=now)
        for position in report.positions
    }


def _lending_value(
    position: AssetPosition,
    report: Report,
    policy: Policy,
    *,
    prices: Collection[Price],
    released: Mapping[Asset, int],
    now: Seconds,
) -> Value:
    asset = position.asset
    current = quote(_of(asset, prices), policy.prices, now=now)
    counts = is_recent(report, now=now) and not report.halted
    good = position.status is current.status is ValueStatus.OK
    if not (counts and good) or current.price is None:
        return Value("0")
    # What is leaving is out of `confirmed` already: deducted once more, a payout would look like two.
    outstanding = max(0, released.get(asset, 0) - position.leaving.units)
    left = amount_of(asset, max(0, position.confirmed.units - outstanding))
    return lending_value(left, current.price, haircut_bps=policy.terms_of(asset).haircut_bps)


def verify_price(envelope: Envelope, policy: Policy, *, network: Network) -> Price:
    """A price that a publisher of the policy signed, in the policy's currency.

    Raises:
        VerificationError: nobody who may has signed it, or it is in another currency.
    """
    try:
        price = Price.read(envelope, network=network)
    except Refusal as error:
        raise VerificationError(f"price: {error}") from error
    if price.currency != policy.prices.currency:
        raise VerificationError(f"a price in {price.currency}, the policy values in {policy.prices.currency}")
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


def cited_prices(
    position: AssetPosition, report: Report, policy: Policy, *, prices: Collection[Price]
) -> tuple[Price, ...]:
    """The prices that a position was valued with, if they are all still at hand, and the valuation repeated.

    Args:
        position: of the report.
        report: verified.
        policy: how many prices, how old, how far apart.
        prices: verified; the latest of each publisher.

    Returns:
        The prices by publisher; empty where the report cites others, and its price is custody's word alone.

    Raises:
        VerificationError: by the policy, another price or status follows from the prices that it cites.
    """
    known = sorted(_of(position.asset, prices), key=lambda price: price.publisher)
    cited = next((used for used in _subsets(known) if price_set(used) == position.price_set), ())
    if cited:
        _require_quote(position, quote(cited, policy.prices, now=report.at))
    return tuple(cited)


def _require_quote(position: AssetPosition, follows: Quote) -> None:
    # Custody also marks as disputed what its nodes disagree about: no price tells, and it lends nothing.
    status = follows.status if position.status is not ValueStatus.DISPUTED else position.status
    says = (position.status, position.price, position.price_at, position.price_sources, position.price_set)
    if says != (status, follows.price, follows.at, follows.sources, follows.price_set):
        raise VerificationError(
            f"{position.asset}: {position.status} at {position.price} by {position.price_sources} publishers;"
            f" from the prices it cites follows {follows.status} at {follows.price} by {follows.sources}"
        )


def _of(asset: Asset, prices: Iterable[Price]) -> list[Price]:
    return [price for price in prices if price.asset is asset]


def _subsets(known: Sequence[Price]) -> list[Sequence[Price]]:
    """All of them, or all but the oldest ones: the sets that freshness can have left."""
    by_age = sorted(known, key=lambda price: price.at)
    dropped = [set(map(id, by_age[:count])) for count in range(len(by_age))]
    return [[price for price in known if id(price) not in gone] for gone in dropped]
