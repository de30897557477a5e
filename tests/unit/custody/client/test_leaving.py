"""A payout that was released and is in a block, not final: out of the report, and deducted no second time."""

import pytest

from signers.statements.amounts import Asset, Sats
from signers.statements.identifiers import Value
from tests.factories import BTC, World
from tests.unit.custody.client.fake_service import FakeCustody
from tests.unit.custody.client.test_reports import ETH_LENT, value

PRICE = 100_000 * 10**8
HELD, LEFT = BTC // 2 + 50_000, BTC // 2 + 10_000
"""Of one release: amount and fee cap; amount and fee."""


@pytest.mark.parametrize(
    ("leaving", "released", "counted"),
    [
        pytest.param(0, HELD, 2 * BTC - HELD, id="released"),
        pytest.param(LEFT, HELD, 2 * BTC - HELD, id="in-a-block"),
        pytest.param(0, HELD, 2 * BTC - HELD, id="reorganised-away"),
        pytest.param(LEFT, HELD + BTC, BTC - HELD, id="beside-another-release"),
        pytest.param(LEFT, 0, 2 * BTC - LEFT, id="released-by-nobody-here"),
    ],
)
def test_what_can_be_lent_against_does_not_change_with_the_block_that_holds_a_payout(
    custody: FakeCustody, world: World, leaving: int, released: int, counted: int
) -> None:
    stands = Sats(2 * BTC - leaving)
    bitcoin = custody.position(
        Asset.BTC,
        confirmed=stands,
        free=stands,
        leaving=Sats(leaving),
        market_value=Value(str(stands.units * PRICE // BTC)),
        lending_value=Value(str(stands.units * PRICE * 4000 // (10_000 * BTC))),
    )
    lent = value(
        custody, world, positions=(bitcoin, custody.position(Asset.ETH)), released={Asset.BTC: released}
    )
    assert lent == counted * PRICE * 4000 // (10_000 * BTC) + ETH_LENT
