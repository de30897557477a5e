"""Wallets outside of custody, on the shared network."""

import pytest

from deploy.localnet.localnet import Localnet
from deploy.localnet.wallet import WalletError, Wallets, read_amount, written
from signers.statements.amounts import Amount, Asset, Sats, Wei
from tests.system.localnet.running import eventually

pytestmark = pytest.mark.system


@pytest.fixture
def wallets(localnet: Localnet) -> Wallets:
    return Wallets.of(localnet.state.path)


@pytest.mark.parametrize("amount", [Sats(123_456_789), Wei(2 * 10**18 + 1)])
def test_coins_arrive_to_the_last_unit(localnet: Localnet, wallets: Wallets, amount: Amount) -> None:
    address = wallets.new(amount.asset).text
    wallets.pay(address, amount)
    (localnet.bitcoind if amount.asset is Asset.BTC else localnet.anvil).mine(1)
    assert eventually(lambda: wallets.balance(address) == amount)


@pytest.mark.parametrize("asset", list(Asset))
def test_a_wallet_is_found_again_by_its_address(wallets: Wallets, asset: Asset) -> None:
    made = wallets.new(asset)
    assert wallets.at(made.text).prove("a message") == made.prove("a message")


@pytest.mark.parametrize("address", ["bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "../lock", "0x00"])
def test_nobody_else_s_wallet_is_used(wallets: Wallets, address: str) -> None:
    with pytest.raises(WalletError, match="no wallet of this localnet"):
        wallets.at(address)


def test_coins_of_the_other_chain_are_not_sent(wallets: Wallets) -> None:
    with pytest.raises(WalletError, match="no address for ETH"):
        wallets.pay(wallets.new(Asset.BTC).text, Wei(1))


@pytest.mark.parametrize(
    ("text", "amount"),
    [("1.5BTC", Sats(150_000_000)), ("0.00000001BTC", Sats(1)), ("12ETH", Wei(12 * 10**18))],
)
def test_an_amount_is_read_and_written(text: str, amount: Amount) -> None:
    assert read_amount(text) == amount
    assert written(amount) == text


@pytest.mark.parametrize("text", ["1.5", "BTC", "0.000000001BTC", "-1BTC", "1e3ETH", "1 BTC"])
def test_anything_else_is_no_amount(text: str) -> None:
    with pytest.raises(WalletError):
        read_amount(text)
