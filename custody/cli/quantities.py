"""Amounts and prices as people write them; every one names its unit, and none passes through a float."""

import re
from decimal import Decimal
from typing import Final

from custody.cli.faults import UsageError
from signers.statements.amounts import UNITS_PER_COIN, Amount, Asset, amount_of
from signers.statements.identifiers import Value

_WRITTEN: Final = re.compile(r"([0-9]{1,30})(?:\.([0-9]{1,18}))?\s*(BTC|ETH|sat|wei)", re.ASCII)
_SMALLEST: Final = {"sat": Asset.BTC, "wei": Asset.ETH}
_PRICE: Final = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,8})?", re.ASCII)
_PRICE_DIGITS: Final = 8


def parse_amount(text: str) -> Amount:
    """`0.5 BTC`, `50000000 sat`, `1.25 ETH` or `7 wei`, exactly.

    Raises:
        UsageError: anything else, more digits than the asset has, or more than can exist.
    """
    match = _WRITTEN.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is no amount: write 0.5BTC, 50000000sat, 1.25ETH or 7wei")
    whole, fraction, unit = match[1], match[2] or "", match[3]
    asset = _SMALLEST.get(unit) or Asset(unit)
    digits = 0 if unit in _SMALLEST else len(str(UNITS_PER_COIN[asset])) - 1
    if len(fraction) > digits:
        raise UsageError(f"{text!r} has more than the {digits} decimal places of {unit}")
    try:
        return amount_of(asset, int(whole + fraction.ljust(digits, "0")))
    except ValueError as error:
        raise UsageError(str(error)) from error


def amount_text(amount: Amount) -> str:
    """In coin and in the smallest unit: nobody has to count zeros."""
    digits = len(str(UNITS_PER_COIN[amount.asset])) - 1
    coin = Decimal(amount.units).scaleb(-digits)
    return f"{coin:f} {amount.asset} ({amount})"


def parse_price(text: str) -> int:
    """A price per coin, such as `100000.25`, in 1e-8 of the currency.

    Raises:
        UsageError: a sign, an exponent, or more than eight decimal places.
    """
    if not _PRICE.fullmatch(text):
        raise UsageError(f"{text!r} is no price: write 100000 or 100000.25, at most eight decimal places")
    return int(Decimal(text).scaleb(_PRICE_DIGITS))


def value_text(value: Value | int, currency: str) -> str:
    """A value of money with its currency."""
    units = value if isinstance(value, int) else value.units
    return f"{Decimal(units).scaleb(-_PRICE_DIGITS):,.2f} {currency}"
