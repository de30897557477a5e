"""What people write and read: amounts, prices, addresses, and nothing that moves their cursor."""

import bdkpython
import pytest

from custody.cli.addresses import (
    bitcoin_text,
    ethereum_text,
    parse_bitcoin,
    parse_destination,
    parse_ethereum,
)
from custody.cli.faults import UsageError
from custody.cli.output import printable
from custody.cli.quantities import amount_text, parse_amount, parse_price, value_text
from signers.statements.amounts import Amount, Sats, Wei
from signers.statements.identifiers import EthereumAddress, ScriptPubKey, Value
from signers.statements.network import Network

P2WPKH = "0014751e76e8199196d454941c45d1b3a323f1433bd6"
P2WSH = "00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262"
P2TR = "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
P2PKH = "76a914751e76e8199196d454941c45d1b3a323f1433bd688ac"
P2SH = "a914751e76e8199196d454941c45d1b3a323f1433bd687"


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0.5BTC", Sats(50_000_000)),
        ("0.5 BTC", Sats(50_000_000)),
        ("0.00000001BTC", Sats(1)),
        ("21000000BTC", Sats(21_000_000 * 10**8)),
        ("7sat", Sats(7)),
        ("1.25ETH", Wei(125 * 10**16)),
        ("0.000000000000000001ETH", Wei(1)),
        ("7 wei", Wei(7)),
    ],
)
def test_an_amount_is_exact(text: str, amount: Amount) -> None:
    assert parse_amount(text) == amount


@pytest.mark.parametrize(
    "text",
    [
        "0.5",
        "5",
        "BTC",
        "-1BTC",
        "+1BTC",
        "1e8sat",
        "1,5BTC",
        ".5BTC",
        "1.BTC",
        "0.5sat",
        "0.000000001BTC",
        "21000000.1BTC",
        "1btc",
        "١BTC",
        "1_000sat",
        "1BTC1",
    ],
)
def test_anything_else_is_no_amount(text: str) -> None:
    with pytest.raises(UsageError):
        parse_amount(text)


def test_amounts_are_shown_in_coin_and_in_the_smallest_unit() -> None:
    assert amount_text(Sats(50_000_001)) == "0.50000001 BTC (50000001 sat)"
    assert amount_text(Wei(1)) == "0.000000000000000001 ETH (1 wei)"


def test_prices_are_exact() -> None:
    assert parse_price("100000.25") == 10_000_025_000_000
    assert value_text(Value("10000025000000"), "USD") == "100,000.25 USD"


@pytest.mark.parametrize("text", ["1e5", "-1", "1.123456789", "", "NaN", "1,000"])
def test_anything_else_is_no_price(text: str) -> None:
    with pytest.raises(UsageError):
        parse_price(text)


@pytest.mark.parametrize("script", [P2WPKH, P2WSH, P2TR, P2PKH, P2SH])
@pytest.mark.parametrize(
    ("network", "other"),
    [
        (Network.MAINNET, bdkpython.Network.BITCOIN),
        (Network.TESTNET, bdkpython.Network.TESTNET4),
        (Network.REGTEST, bdkpython.Network.REGTEST),
    ],
)
def test_an_address_is_the_one_that_bdk_writes(
    script: str, network: Network, other: bdkpython.Network
) -> None:
    text = bitcoin_text(ScriptPubKey(script), network)
    written = bdkpython.Address.from_script(bdkpython.Script(bytes.fromhex(script)), other)
    assert text == str(written)
    assert parse_bitcoin(text, network) == script


def test_the_examples_of_the_standards() -> None:
    # BIP-173, BIP-350 and EIP-55.
    assert bitcoin_text(ScriptPubKey(P2WPKH), Network.MAINNET) == "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
    assert (
        bitcoin_text(ScriptPubKey(P2TR), Network.MAINNET)
        == "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"
    )
    checksummed = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    assert ethereum_text(EthereumAddress(checksummed[2:].lower())) == checksummed


def test_a_script_without_an_address_is_shown_as_itself() -> None:
    assert bitcoin_text(ScriptPubKey("6a0548656c6c6f"), Network.MAINNET) == "6a0548656c6c6f"


@pytest.mark.parametrize(
    "text",
    [
        "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx",  # another network
        "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt081",  # a wrong checksum
        "bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4",  # BIP-350: invalid
        "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7k7grplx",  # bech32, not bech32m
        "1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMI",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD",  # EIP-55: one letter in the other case
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeA",
        "0x" + "zz" * 20,
        "",
    ],
)
def test_a_wrong_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_destination(text, Network.REGTEST)


def test_lower_case_is_a_spelling_of_its_own() -> None:
    assert parse_ethereum("0x" + "5aaeb6053f3e94c9b9a09f33669435e7ef1beaed") == EthereumAddress(
        "5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"
    )


@pytest.mark.parametrize("forged", ["\x1b[2K", "\r", "\n", "\u202e", "\x00", "\u200b"])
def test_a_service_cannot_move_the_cursor_or_turn_the_text(forged: str) -> None:
    assert forged not in printable(f"pays 1 BTC{forged}to you")
