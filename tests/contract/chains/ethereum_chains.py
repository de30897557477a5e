"""What the suite does to an Ethereum chain, fake or real, beside asking the port."""

import secrets
from typing import Protocol

from eth_account import Account
from eth_account.signers.local import LocalAccount

from custody.adapters.ethereum_node import EthereumNode
from custody.adapters.ethereum_nodes import EthereumNodes
from custody.adapters.json_rpc import Endpoint, JsonRpc
from custody.application.ports.chains import EthereumChain
from deploy.localnet.anvil import Anvil
from signers.statements.identifiers import EthereumAddress
from signers.statements.network import Network
from tests.unit.custody.workers.fake_ethereum import FakeEthereum


def fresh_account() -> LocalAccount:
    """A key of nobody."""
    made: LocalAccount = Account.create()
    return made


def address_of(account: LocalAccount) -> EthereumAddress:
    return EthereumAddress(account.address[2:].lower())


def fresh_address() -> EthereumAddress:
    return EthereumAddress(secrets.token_hex(20))


def transfer(
    account: LocalAccount, to: EthereumAddress, wei: int, *, nonce: int, fee_per_gas_wei: int = 10**11
) -> bytes:
    """A signed type 2 transfer; a hundredth of the fee is the tip."""
    signed = account.sign_transaction(
        {
            "type": 2,
            "chainId": Network.REGTEST.chain_id,
            "nonce": nonce,
            "to": to.raw,
            "value": wei,
            "gas": 21_000,
            "maxFeePerGas": fee_per_gas_wei,
            "maxPriorityFeePerGas": fee_per_gas_wei // 100,
            "data": b"",
        }
    )
    return bytes(signed.raw_transaction)


class EthereumHarness(Protocol):
    """A chain under the test's hand."""

    chain: EthereumChain

    def pay(self, address: EthereumAddress, wei: int) -> None:
        """Somebody pays an address; it waits for a block."""

    def mine(self, count: int = 1) -> None:
        """Blocks with what waits."""

    def reorg(self, depth: int) -> None:
        """Replace the last blocks by one more."""

    def close(self) -> None:
        """Give up what is held."""


class FakeEthereumHarness:
    """The chain of the unit tests."""

    def __init__(self) -> None:
        self.fake = FakeEthereum()
        self.chain: EthereumChain = self.fake

    def pay(self, address: EthereumAddress, wei: int) -> None:
        self.fake.pay(address, wei)

    def mine(self, count: int = 1) -> None:
        self.fake.mine(count)

    def reorg(self, depth: int) -> None:
        self.fake.reorg(depth)

    def close(self) -> None:
        return None


class RealEthereumHarness:
    """An anvil, asked as custody asks it."""

    def __init__(self, anvil: Anvil) -> None:
        self.anvil = anvil
        self.rpc = JsonRpc(Endpoint(name="anvil", url=anvil.url))
        self.chain: EthereumChain = EthereumNodes([EthereumNode(self.rpc, network=Network.REGTEST)], needed=1)

    def pay(self, address: EthereumAddress, wei: int) -> None:
        self.anvil.send(address=f"0x{address}", amount_wei=wei)

    def mine(self, count: int = 1) -> None:
        self.anvil.mine(count)

    def reorg(self, depth: int) -> None:
        self.anvil.reorg(depth)

    def close(self) -> None:
        self.rpc.close()
