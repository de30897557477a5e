"""Money: bounded, of one asset, never a float and never a bool."""

import operator
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signers.statements.amounts import Amount, Asset, Sats, Wei, amount_of, parse_units
from tests.unit.statements.examples import examples

KINDS = [Sats, Wei]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("units", [True, False, 1.0, "1", None, b"1", 1j, [1]])
def test_only_an_int_is_an_amount(kind: type[Amount], units: Any) -> None:
    with pytest.raises(TypeError):
        kind(units)


@pytest.mark.parametrize("kind", KINDS)
def test_the_bounds_are_inclusive(kind: type[Amount]) -> None:
    assert kind(0).units == 0
    assert kind(kind.maximum).units == kind.maximum
    for units in (-1, kind.maximum + 1):
        with pytest.raises(ValueError, match="is outside"):
            kind(units)


def test_the_maxima_are_what_can_exist() -> None:
    assert Sats.maximum == 2_100_000_000_000_000
    assert Wei.maximum == 10_000_000_000 * 10**18
    assert Wei.maximum < 10**38


def test_an_amount_of_no_asset_does_not_exist() -> None:
    with pytest.raises(TypeError):
        Amount(1)


@pytest.mark.parametrize("one", [Sats(5), Wei(5)])
@pytest.mark.parametrize("other", [Sats(5), Wei(5), 5, 0, "5", None, 5.0])
@pytest.mark.parametrize(
    "operate", [operator.add, operator.sub, operator.lt, operator.le, operator.gt, operator.ge]
)
def test_assets_do_not_mix(one: Amount, other: Any, operate: Callable[[Any, Any], Any]) -> None:
    if type(one) is type(other):
        operate(one, other)
        return
    with pytest.raises(TypeError):
        operate(one, other)
    with pytest.raises(TypeError):
        operate(other, one)


def test_equal_units_of_different_assets_are_not_equal() -> None:
    different: list[object] = [Sats(5), Wei(5), 5]
    assert [one == other for one in different for other in different].count(True) == len(different)
    assert len(set(different)) == 3


@pytest.mark.parametrize("operate", [operator.mul, operator.truediv, operator.floordiv, operator.mod])
def test_nothing_else_is_done_with_money(operate: Callable[[Any, Any], Any]) -> None:
    with pytest.raises(TypeError):
        operate(Sats(4), 2)


@given(one=st.integers(0, Sats.maximum), other=st.integers(0, Sats.maximum))
@examples(100)
def test_sums_and_differences_are_exact_or_refused(one: int, other: int) -> None:
    if one + other <= Sats.maximum:
        assert (Sats(one) + Sats(other)).units == one + other
    else:
        with pytest.raises(ValueError, match="is outside"):
            Sats(one) + Sats(other)
    if one >= other:
        assert (Sats(one) - Sats(other)).units == one - other
    else:
        with pytest.raises(ValueError, match="is outside"):
            Sats(one) - Sats(other)
    assert (Sats(one) < Sats(other)) is (one < other)


def test_an_amount_never_changes() -> None:
    amount = Sats(1)
    with pytest.raises(AttributeError):
        amount.units = 2  # type: ignore[misc]


@pytest.mark.parametrize("amount", [Sats(7), Wei(7)])
def test_an_amount_survives_a_process_boundary(amount: Amount) -> None:
    again = pickle.loads(pickle.dumps(amount))
    assert again == amount
    assert type(again) is type(amount)


def test_an_amount_is_of_the_asset_that_data_names() -> None:
    assert amount_of(Asset.BTC, 3) == Sats(3)
    assert amount_of(Asset.ETH, 3) == Wei(3)
    assert str(Sats(3)) == "3 sat"
    assert str(Wei(3)) == "3 wei"
    assert not Sats.zero()
    assert Sats(1)


@given(units=st.integers(0, 10**38 - 1))
@examples(100)
def test_units_are_read_as_written(units: int) -> None:
    assert parse_units(str(units)) == units


@pytest.mark.parametrize(
    "text", ["", "00", "01", "+1", "-1", "1.0", "1e3", "1_0", " 1", "1 ", "\u0661", "\u00b2", "0x1", "9" * 39]
)
def test_units_have_one_spelling(text: str) -> None:
    with pytest.raises(ValueError, match="is not a decimal integer"):
        parse_units(text)
