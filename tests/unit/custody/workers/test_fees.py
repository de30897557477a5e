"""Fees: within the cap, enough for nodes, never leaving dust."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.application.ports.chains import FeeQuote, FeeRate
from custody.workers.fees import CHANGE_DUST_SATS, RELAY_RATE, Budget, bitcoin_fee, ethereum_fee


@given(
    st.integers(1, 10**7),
    st.integers(150, 20_000),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**5),
)
def test_a_bitcoin_fee_stays_within_its_bounds(
    rate: int, vsize: int, surplus: int, left: int, previous: int
) -> None:
    budget = Budget(left_units=left, previous_units=previous)
    fee = bitcoin_fee(rate=FeeRate(rate), vsize=vsize, surplus_sats=surplus, budget=budget)
    if fee is None:
        return
    assert fee.units <= min(left, surplus)
    assert fee.units >= RELAY_RATE.fee(vsize).units + previous, "nodes would not relay, or not replace"
    change = surplus - fee.units
    assert change == 0 or change >= CHANGE_DUST_SATS


@pytest.mark.parametrize(
    ("surplus", "left", "fee"),
    [
        (50_000, 50_000, 2000),  # plenty: exactly the estimate
        (2100, 50_000, 2100),  # 100 sat of change would be dust: they go to the fee
        (2100, 2050, 1770),  # the budget does not allow that: 330 sat of change stay
        (1500, 50_000, 1500),  # all there is
        (900, 50_000, None),  # less than nodes relay
        (50_000, 900, None),  # less is left of the cap than nodes relay
    ],
)
def test_bitcoin_fees(surplus: int, left: int, fee: int | None) -> None:
    found = bitcoin_fee(
        rate=FeeRate(2000), vsize=1000, surplus_sats=surplus, budget=Budget(left_units=left, previous_units=0)
    )
    assert (found.units if found else None) == fee


@given(st.integers(1, 10**12), st.integers(0, 10**11), st.integers(0, 10**18), st.integers(0, 10**17))
def test_an_ethereum_fee_stays_within_its_bounds(base: int, tip: int, left: int, previous: int) -> None:
    quote = FeeQuote(base_fee_per_gas_wei=base, priority_fee_per_gas_wei=tip)
    fee = ethereum_fee(quote=quote, budget=Budget(left_units=left, previous_units=previous))
    if fee is None:
        return
    assert fee.units <= left
    assert fee.units % 21_000 == 0
    assert fee.units // 21_000 > base, "no block would take it"
    before, now = previous // 21_000, fee.units // 21_000
    if before:
        assert now * 10 >= before * 11
        assert (now // 8) * 10 >= (before // 8) * 11, "both fees of a replacement rise by a tenth"
