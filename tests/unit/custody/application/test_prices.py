"""Prices: who may say them, when, and in which order."""

from dataclasses import replace
from typing import Any

import pytest

from custody.application import prices
from custody.domain.errors import (
    FieldInvalid,
    StatementMalformed,
    StatementMismatch,
    StatementSignature,
    StatementStale,
)
from custody.domain.price import PublishedPrice
from signers.statements.amounts import Asset
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Currency, Seconds
from signers.statements.network import Network
from signers.statements.price import Price
from signers.statements.report import ValueStatus
from signers.statements.valuation import Quote
from tests.factories import Person
from tests.unit.custody.scenario import Custody, unchanged


@pytest.fixture
def custody() -> Custody:
    custody = Custody()
    custody.pin()
    return custody


def price(custody: Custody, signer: Person | None = None, **changes: Any) -> Envelope:
    """The first publisher's price of BTC, one thing changed."""
    said = Price.parse(custody.world.prices(Asset.BTC)[0].payload)
    return custody.world.sign(replace(said, **changes), signer or custody.world.publishers[0])


def publish(custody: Custody, *envelopes: Envelope) -> tuple[PublishedPrice, ...]:
    command = prices.PublishPrices(request_id=custody.fresh(), envelopes=envelopes)
    return custody.do(prices.publish, command, principal=custody.stranger)


def worth(custody: Custody, asset: Asset) -> Quote:
    return prices.quoted(custody.prices(), asset, policy=custody.world.policy, now=custody.now)


def test_three_publishers_make_a_price(custody: Custody) -> None:
    publish(custody, *custody.world.prices(Asset.BTC))
    found = worth(custody, Asset.BTC)
    said = sorted(Price.parse(each.payload).price.units for each in custody.world.prices(Asset.BTC))
    assert (found.status, found.price, found.sources) == (ValueStatus.OK, str(said[1]), 3)
    assert worth(custody, Asset.ETH).status is ValueStatus.STALE


def test_a_later_price_replaces_the_earlier(custody: Custody) -> None:
    publish(custody, price(custody))
    custody.now = Seconds(custody.now + 10)
    (found,) = publish(custody, price(custody, sequence=2, at=custody.now))
    assert (found.sequence, found.created_at, found.updated_at) == (
        2,
        custody.now - 10,
        custody.now,
    )
    assert custody.prices().prices == (found,)


@pytest.mark.parametrize("count", [0, 33])
def test_the_number_of_prices_is_bounded(custody: Custody, count: int) -> None:
    unchanged(custody, lambda: publish(custody, *[price(custody)] * count), FieldInvalid)


def test_all_or_none(custody: Custody) -> None:
    good, bad = price(custody), price(custody, custody.world.stranger, sequence=2)
    unchanged(custody, lambda: publish(custody, good, bad), StatementSignature)


def test_the_same_publisher_and_asset_twice(custody: Custody) -> None:
    unchanged(
        custody,
        lambda: publish(custody, price(custody), price(custody, sequence=2)),
        StatementMismatch,
    )


@pytest.mark.parametrize(
    "changes",
    [{"network": Network.MAINNET}, {"currency": Currency("HKD")}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_price_of_another_world(custody: Custody, changes: dict[str, Any]) -> None:
    unchanged(custody, lambda: publish(custody, price(custody, **changes)), StatementMismatch)


def test_another_statement_is_no_price(custody: Custody) -> None:
    unchanged(custody, lambda: publish(custody, custody.world.policy_envelope), StatementMalformed)


def test_a_publisher_the_policy_does_not_pin(custody: Custody) -> None:
    unchanged(custody, lambda: publish(custody, price(custody, custody.world.stranger)), StatementSignature)


def test_a_publisher_speaks_for_itself_alone(custody: Custody) -> None:
    other = custody.world.publishers[1]
    unchanged(custody, lambda: publish(custody, price(custody, other)), StatementSignature)


def test_a_price_is_signed_once(custody: Custody) -> None:
    twice = custody.world.sign(price(custody), custody.world.publishers[1])
    unchanged(custody, lambda: publish(custody, twice), StatementSignature)


@pytest.mark.parametrize("age_seconds", [61, -6])
def test_a_price_of_another_time(custody: Custody, age_seconds: int) -> None:
    at = Seconds(custody.now - age_seconds)
    unchanged(custody, lambda: publish(custody, price(custody, at=at)), StatementStale)


@pytest.mark.parametrize("age_seconds", [60, -5])
def test_a_price_at_the_edge_of_its_time(custody: Custody, age_seconds: int) -> None:
    assert publish(custody, price(custody, at=Seconds(custody.now - age_seconds)))


def test_a_sequence_that_does_not_rise(custody: Custody) -> None:
    publish(custody, price(custody))
    again = price(custody, at=custody.now)
    error = unchanged(custody, lambda: publish(custody, again), StatementStale)
    assert error.data == {"sequence": "1"}


def test_a_time_that_goes_back(custody: Custody) -> None:
    publish(custody, price(custody))
    earlier = price(custody, sequence=2, at=Seconds(custody.now - 20))
    unchanged(custody, lambda: publish(custody, earlier), StatementStale)
