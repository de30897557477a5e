"""Amounts as the API writes them."""

from typing import Final

from bailee.custody.v1 import amount_pb2

from custody.client.errors import VerificationError
from signers.statements.amounts import Amount, Asset, amount_of, parse_units

_ASSETS: Final = {Asset.BTC: amount_pb2.ASSET_BTC, Asset.ETH: amount_pb2.ASSET_ETH}
_NAMED: Final = {number: asset for asset, number in _ASSETS.items()}


def to_asset(asset: Asset) -> amount_pb2.Asset:
    """The enum value of an asset."""
    return _ASSETS[asset]


def to_amount(amount: Amount) -> amount_pb2.Amount:
    """The message of an amount."""
    return amount_pb2.Amount(asset=_ASSETS[amount.asset], units=str(amount.units))


def from_amount(message: amount_pb2.Amount) -> Amount:
    """The amount of a message.

    Raises:
        VerificationError: it is none.
    """
    try:
        return amount_of(_NAMED[message.asset], parse_units(message.units))
    except (LookupError, ValueError) as error:
        raise VerificationError(f"{message.units[:48]!r} of asset {message.asset} is no amount") from error
