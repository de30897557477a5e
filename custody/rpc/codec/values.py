"""Amounts, times, keys, envelopes and addresses."""

from typing import Final

from bailee.custody.v1 import amount_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from custody.domain.errors import CustodyError, FieldInvalid, StatementMalformed, from_refusal
from custody.rpc.codec import addresses
from signers.statements.allowlist import BitcoinDestination, Destination
from signers.statements.amounts import Amount, Asset, amount_of, parse_units
from signers.statements.envelope import Envelope
from signers.statements.identifiers import Ed25519Key, EthereumAddress, ScriptPubKey, Seconds
from signers.statements.network import Network
from signers.statements.refusals import Refusal

ASSETS: Final = {Asset.BTC: amount_pb2.ASSET_BTC, Asset.ETH: amount_pb2.ASSET_ETH}
_ASSETS_IN: Final = {number: asset for asset, number in ASSETS.items()}
BRACKETS_MAX: Final = 512
"""Of an envelope, and of its payload. An account statement, the largest that callers send, has a dozen."""

NETWORKS: Final = {
    Network.MAINNET: amount_pb2.NETWORK_MAINNET,
    Network.TESTNET: amount_pb2.NETWORK_TESTNET,
    Network.REGTEST: amount_pb2.NETWORK_REGTEST,
}


def parse_amount(message: amount_pb2.Amount, *, field: str) -> Amount:
    """A quantity.

    Raises:
        FieldInvalid: more than can exist of the asset.
    """
    try:
        return amount_of(_ASSETS_IN[message.asset], parse_units(message.units))
    except (KeyError, ValueError) as error:
        raise FieldInvalid(str(error), field=f"{field}.units") from error


def parse_public_key(raw: bytes, *, field: str) -> Ed25519Key:
    """A party's key.

    Raises:
        FieldInvalid: one under which anyone can sign, or another spelling of one.
    """
    try:
        return Ed25519Key(raw.hex())
    except ValueError as error:
        raise FieldInvalid("a weak or non-canonical Ed25519 key", field=field) from error


def parse_envelope(data: bytes, *, field: str) -> Envelope:
    """A DSSE envelope; what it carries is read by the use case.

    Raises:
        CustodyError: `STATEMENT_MALFORMED`.
    """
    _require_flat(data, field=field)
    try:
        envelope = Envelope.from_json(data)
    except Refusal as refusal:
        error: CustodyError = from_refusal(refusal, field=field)
        raise error from refusal
    _require_flat(envelope.payload, field=field)
    return envelope


def _require_flat(data: bytes, *, field: str) -> None:
    """Raise `STATEMENT_MALFORMED` before a parser recurses into more than any statement nests.

    The interpreter's own limit does the same unless a library raises it, which one of ours does; then the
    parser's stack runs over and takes the process with it.
    """
    if data.count(b"[") + data.count(b"{") > BRACKETS_MAX:
        raise StatementMalformed(f"more than {BRACKETS_MAX} arrays and objects", field=field)


def amount(of: Amount) -> amount_pb2.Amount:
    """A quantity."""
    return amount_pb2.Amount(asset=ASSETS[of.asset], units=str(of.units))


def time(at: Seconds | None) -> Timestamp | None:
    """A time; absent for `None`."""
    return None if at is None else Timestamp(seconds=at)


def envelope(of: Envelope | None) -> bytes:
    """An envelope's JSON; empty for `None`."""
    return b"" if of is None else of.to_json()


def bitcoin_address(script: ScriptPubKey, network: Network) -> amount_pb2.ChainAddress:
    """Where BTC can be paid to."""
    return amount_pb2.ChainAddress(
        bitcoin_script_pubkey=script.raw, display=addresses.bitcoin(script, network)
    )


def ethereum_address(address: EthereumAddress) -> amount_pb2.ChainAddress:
    """Where ETH can be paid to."""
    return amount_pb2.ChainAddress(ethereum_address=address.raw, display=addresses.ethereum(address))


def chain_address(destination: Destination, network: Network) -> amount_pb2.ChainAddress:
    """Where a destination is."""
    if isinstance(destination, BitcoinDestination):
        return bitcoin_address(destination.script_pubkey, network)
    return ethereum_address(destination.address)
