"""Exact values, rounded against the borrower, of prices that are many, fresh and close."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signers.statements.amounts import UNITS_PER_COIN, Asset, Sats, Wei, amount_of
from signers.statements.identifiers import GENESIS, Currency, EntityId, Seconds, Value
from signers.statements.network import Network
from signers.statements.policy import PriceTerms
from signers.statements.price import Price
from signers.statements.report import ValueStatus
from signers.statements.valuation import lending_value, market_value, price_set, quote

TERMS = PriceTerms(
    currency=Currency("USD"), publishers_min=3, age_max_seconds=Seconds(60), spread_max_bps=200
)
NOW = Seconds(1_000_000)


def price(name: str, units: int, *, age: int = 1) -> Price:
    return Price(
        network=Network.REGTEST,
        publisher=EntityId(f"prices-{name}"),
        asset=Asset.BTC,
        currency=TERMS.currency,
        price=Value(str(units)),
        sequence=1,
        at=Seconds(NOW - age),
    )


GOOD = [price("a", 100_000), price("bb", 100_500), price("ccc", 101_000)]


def test_the_median_of_fresh_prices() -> None:
    found = quote(GOOD, TERMS, now=NOW)
    assert (found.status, found.price, found.sources) == (ValueStatus.OK, "100500", 3)
    assert found.at == NOW - 1


def test_the_middle_of_an_even_number_is_rounded_down() -> None:
    found = quote([*GOOD, price("dddd", 100_501)], TERMS, now=NOW)
    assert (found.status, found.price) == (ValueStatus.OK, "100500")


@pytest.mark.parametrize(("age", "status"), [(60, ValueStatus.OK), (61, ValueStatus.STALE)])
def test_a_price_is_fresh_up_to_its_age(age: int, status: ValueStatus) -> None:
    old = [replace(GOOD[0], at=Seconds(NOW - age)), *GOOD[1:]]
    assert quote(old, TERMS, now=NOW).status is status


def test_a_stale_value_stays_visible_with_its_age() -> None:
    old = [replace(each, at=Seconds(NOW - 100)) for each in GOOD]
    found = quote(old, TERMS, now=NOW)
    assert (found.status, found.price, found.at) == (ValueStatus.STALE, "100500", NOW - 100)


@pytest.mark.parametrize(("age", "status"), [(-5, ValueStatus.OK), (-6, ValueStatus.STALE)])
def test_a_price_from_later_is_not_fresh(age: int, status: ValueStatus) -> None:
    early = [replace(GOOD[0], at=Seconds(NOW - age)), *GOOD[1:]]
    assert quote(early, TERMS, now=NOW).status is status


def test_one_publisher_twice_is_one() -> None:
    twice = [GOOD[0], GOOD[1], replace(GOOD[1], price=Value("100600"))]
    assert quote(twice, TERMS, now=NOW).status is ValueStatus.STALE


def test_an_older_price_of_a_publisher_does_not_weigh_beside_its_newer_one() -> None:
    older = [replace(GOOD[2], sequence=0, price=Value(units)) for units in ("101100", "101200")]
    assert quote([*older, *GOOD], TERMS, now=NOW) == quote(GOOD, TERMS, now=NOW)


def test_what_is_cited_does_not_depend_on_the_order() -> None:
    assert price_set(GOOD) == price_set(GOOD[::-1]) == quote(GOOD[::-1], TERMS, now=NOW).price_set


@pytest.mark.parametrize(("highest", "status"), [(102_000, ValueStatus.OK), (102_001, ValueStatus.DISPUTED)])
def test_prices_too_far_apart_are_disputed(highest: int, status: ValueStatus) -> None:
    spread = [price("a", 100_000), price("bb", 100_000), price("ccc", highest)]
    assert quote(spread, TERMS, now=NOW).status is status


def test_without_any_price_there_is_no_value() -> None:
    found = quote([], TERMS, now=NOW)
    assert (found.status, found.price, found.sources, found.price_set) == (
        ValueStatus.STALE,
        None,
        0,
        GENESIS,
    )


def test_one_bitcoin_at_100000_lends_at_most_40000() -> None:
    assert lending_value(Sats(10**8), Value(str(100_000 * 10**8)), haircut_bps=6000) == str(40_000 * 10**8)


@pytest.mark.parametrize("haircut_bps", [5999, 10_001])
def test_a_haircut_below_the_floor_lends_nothing_at_all(haircut_bps: int) -> None:
    with pytest.raises(ValueError, match="haircut"):
        lending_value(Sats(1), Value("1"), haircut_bps=haircut_bps)


@given(
    asset=st.sampled_from(Asset),
    units=st.integers(0, 10**15),
    price_e8=st.integers(1, 10**15),
    haircut_bps=st.integers(6000, 10_000),
)
def test_values_are_exact_and_never_rounded_up(
    asset: Asset, units: int, price_e8: int, haircut_bps: int
) -> None:
    amount, value = amount_of(asset, units), Value(str(price_e8))
    market = Fraction(units * price_e8, UNITS_PER_COIN[asset])
    lending = market * (10_000 - haircut_bps) / 10_000
    assert 0 <= market - market_value(amount, value).units < 1
    assert 0 <= lending - lending_value(amount, value, haircut_bps=haircut_bps).units < 1


def test_wei_do_not_lose_a_unit() -> None:
    amount = Wei(10**28)
    assert market_value(amount, Value("1")).units == 10**10
