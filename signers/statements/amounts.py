"""Money: unsigned integers of an asset's smallest unit, never mixed between assets.

`Sats` and `Wei` add, subtract and compare only with their own kind; anything else is a `TypeError`, for the
type checker and at run time. A result below zero or above what can exist is a `ValueError`, never a wrap.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Self, final


@final
class Asset(StrEnum):
    """What can be pledged."""

    BTC = "BTC"
    ETH = "ETH"


@dataclass(frozen=True, slots=True, order=True)
class Amount:
    """A quantity of one asset. Construct `Sats` or `Wei`, or `amount_of` where the asset is data.

    Raises:
        TypeError: the units are not an `int`.
        ValueError: the units are negative or more than `maximum`.
    """

    asset: ClassVar[Asset]
    maximum: ClassVar[int]

    units: int
    """Smallest units: satoshi or wei."""

    def __post_init__(self) -> None:
        if type(self) is Amount:
            raise TypeError("an amount is of one asset: Sats or Wei")
        if type(self.units) is not int:
            raise TypeError(f"{type(self).__name__} takes an int, not {type(self.units).__name__}")
        if not 0 <= self.units <= self.maximum:
            raise ValueError(f"{self.units} is outside 0..{self.maximum} {self.asset}")

    def __add__(self, other: Self) -> Self:
        if type(other) is not type(self):
            return NotImplemented
        return type(self)(self.units + other.units)

    def __sub__(self, other: Self) -> Self:
        if type(other) is not type(self):
            return NotImplemented
        return type(self)(self.units - other.units)

    def __bool__(self) -> bool:
        return self.units != 0

    def __str__(self) -> str:
        return f"{self.units} {'sat' if self.asset is Asset.BTC else 'wei'}"

    @classmethod
    def zero(cls) -> Self:
        """Nothing of this asset."""
        return cls(0)


@final
@dataclass(frozen=True, slots=True, order=True)
class Sats(Amount):
    """Satoshi: 1e-8 BTC. At most the 21 million BTC that can exist."""

    asset = Asset.BTC
    maximum = 21_000_000 * 10**8


@final
@dataclass(frozen=True, slots=True, order=True)
class Wei(Amount):
    """Wei: 1e-18 ETH. Bounded at 1e28, some eighty times the supply, well inside NUMERIC(38,0)."""

    asset = Asset.ETH
    maximum = 10**28


UNITS_PER_COIN = {Asset.BTC: 10**8, Asset.ETH: 10**18}
_AMOUNTS: dict[Asset, type[Amount]] = {Asset.BTC: Sats, Asset.ETH: Wei}


def amount_of(asset: Asset, units: int) -> Amount:
    """`units` of `asset`, where the asset is only known at run time."""
    return _AMOUNTS[asset](units)


def parse_units(text: str) -> int:
    """The integer that a decimal string of smallest units says.

    Raises:
        ValueError: a sign, leading zero, separator, non-ASCII digit or more than 38 digits.
    """
    if not (text.isascii() and text.isdigit()) or len(text) > 38 or (text[0] == "0" and text != "0"):
        raise ValueError(f"{text[:48]!r} is not a decimal integer of smallest units")
    return int(text)
