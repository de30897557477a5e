"""Wallets outside of custody, for whoever plays a pledgor: `python -m deploy.localnet.wallet`.

Their keys lie below the state folder, and coins come from what the localnet's nodes were funded with.
"""

import argparse
import re
import sys
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from embit.ec import PrivateKey
from eth_account import Account as EthAccount

from deploy.localnet.anvil import FAUCET_KEY_NAME, transfer
from deploy.localnet.bitcoind import BitcoinRpc
from deploy.localnet.demo.wallets import BitcoinWallet, EthereumWallet
from deploy.localnet.json_rpc import JsonRpc, RpcError
from deploy.localnet.state import DEFAULT_FOLDER, read_record, write_private
from signers.statements.amounts import UNITS_PER_COIN, Amount, Asset, amount_of

FOLDER_NAME: Final = "wallets"
_WRITTEN: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,18})?)(BTC|ETH)", re.ASCII)

Wallet = BitcoinWallet | EthereumWallet


class WalletError(Exception):
    """What was asked for cannot be done; says why."""


@dataclass(frozen=True, kw_only=True)
class Wallets:
    """Everybody's wallets in one localnet.

    Attributes:
        state: its state folder.
        bitcoin: its node.
        ethereum: its node.
    """

    state: Path
    bitcoin: BitcoinRpc
    ethereum: JsonRpc

    @classmethod
    def of(cls, state: Path) -> "Wallets":
        """Of the localnet that runs in a state folder, from any process of its user.

        Raises:
            WalletError: none does.
        """
        record = read_record(state)
        if record is None or not record.is_ready:
            raise WalletError(f"no localnet is up in {state}: `make dev` starts one")
        ports = {name: int(record.endpoints[name].rpartition(":")[2]) for name in ("bitcoind", "anvil")}
        return cls(
            state=state,
            bitcoin=BitcoinRpc(folder=state / "bitcoind", port=ports["bitcoind"]),
            ethereum=JsonRpc(port=ports["anvil"]),
        )

    def new(self, asset: Asset) -> Wallet:
        """A wallet with a key of its own."""
        wallet: Wallet = BitcoinWallet.new() if asset is Asset.BTC else EthereumWallet.new()
        key = wallet.key.secret if isinstance(wallet, BitcoinWallet) else bytes(wallet.account.key)
        folder = self.state / FOLDER_NAME
        folder.mkdir(mode=0o700, exist_ok=True)
        write_private(folder / wallet.text, key.hex())
        return wallet

    def at(self, address: str) -> Wallet:
        """The wallet of an address.

        Raises:
            WalletError: it is not one of these.
        """
        file = self.state / FOLDER_NAME / address
        if "/" in address or not file.is_file():
            raise WalletError(f"{address} is no wallet of this localnet: `new` makes one")
        key = bytes.fromhex(file.read_text(encoding="ascii"))
        if asset_of(address) is Asset.BTC:
            return BitcoinWallet(PrivateKey(key))
        return EthereumWallet(EthAccount.from_key(key))

    def pay(self, address: str, amount: Amount) -> str:
        """Send coins to any address; the transaction id. They arrive with the next block.

        Raises:
            WalletError: coins of the other chain.
            RpcError: the node refuses.
        """
        if amount.asset is not asset_of(address):
            raise WalletError(f"{address} is no address for {amount.asset}")
        if amount.asset is Asset.BTC:
            return self.bitcoin.send(address=address, amount_sats=amount.units)
        faucet = (self.state / "anvil" / FAUCET_KEY_NAME).read_text(encoding="ascii")
        return transfer(self.ethereum, EthAccount.from_key(faucet), address=address, amount_wei=amount.units)

    def balance(self, address: str) -> Amount:
        """What lies at any address, at the latest block."""
        if asset_of(address) is Asset.BTC:
            return amount_of(Asset.BTC, self.bitcoin.balance_of(address))
        return amount_of(Asset.ETH, int(self.ethereum.call("eth_getBalance", address, "latest"), 16))


def asset_of(address: str) -> Asset:
    """Whose chain an address is of."""
    return Asset.ETH if address.startswith("0x") else Asset.BTC


def read_amount(text: str) -> Amount:
    """`1.5BTC` or `12ETH`.

    Raises:
        WalletError: anything else.
    """
    match = _WRITTEN.fullmatch(text)
    if match is None:
        raise WalletError(f"{text!r} is no amount: write 1.5BTC or 12ETH")
    asset = Asset(match[2])
    units = Decimal(match[1]) * UNITS_PER_COIN[asset]
    if units != int(units):
        raise WalletError(f"{text!r} is smaller than the smallest unit")
    return amount_of(asset, int(units))


def written(amount: Amount) -> str:
    """As `read_amount` reads it."""
    return f"{(Decimal(amount.units) / UNITS_PER_COIN[amount.asset]).normalize():f}{amount.asset}"


def main() -> int:
    """The command: prints one line, or why not."""
    told = _parser().parse_args()
    try:
        print(_answer(told, Wallets.of(told.folder.resolve())))
    except (WalletError, RpcError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _answer(told: argparse.Namespace, wallets: Wallets) -> str:
    match told.command:
        case "new":
            return wallets.new(Asset(told.asset)).text
        case "prove":
            return wallets.at(told.address).prove(sys.stdin.read().removesuffix("\n"))
        case "pay":
            return wallets.pay(told.address, read_amount(told.amount))
        case _:
            return written(wallets.balance(told.address))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.localnet.wallet", description="Wallets outside of custody, on a local network."
    )
    parser.add_argument(
        "--folder", type=Path, default=DEFAULT_FOLDER, help="state folder (default: %(default)s)"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    new = commands.add_parser("new", help="make a wallet; prints its address")
    new.add_argument("asset", choices=[asset.value for asset in Asset])
    prove = commands.add_parser("prove", help="sign the message on standard input with the address's key")
    prove.add_argument("address")
    pay = commands.add_parser("pay", help="send coins to any address; prints the transaction's id")
    pay.add_argument("address")
    pay.add_argument("amount", help="1.5BTC or 12ETH")
    balance = commands.add_parser("balance", help="print what the chain has at any address")
    balance.add_argument("address")
    return parser


if __name__ == "__main__":
    sys.exit(main())
