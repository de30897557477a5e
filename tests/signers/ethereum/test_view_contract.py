"""What every `EthereumView` promises: the same tests on the node in memory and on a real one."""

from collections.abc import AsyncIterator
from typing import Protocol

import pytest
from eth_account import Account as EthAccount
from eth_utils.address import to_checksum_address

from deploy.localnet.anvil import Anvil
from signers.ethereum.address import address_of
from signers.ethereum.node import EthereumNode
from signers.statements.amounts import Wei
from signers.statements.identifiers import EthereumAddress
from signers.statements.network import Network
from tests.signers.bitcoin.material import Key, name_of
from tests.signers.ethereum.fake_ethereum import FakeEthereum

ETHER = 10**18
FUNDS = 5 * ETHER
SINK = EthereumAddress("5c" * 20)


class Chain(Protocol):
    """What happens to the node that the view looks at."""

    view: EthereumNode
    address: EthereumAddress
    """Of an account of this test alone."""

    def pay_in(self) -> None:
        """`FUNDS` to the account, in a block of its own."""

    def pay_out(self) -> None:
        """The account's next transaction, in a block of its own."""

    def mine(self, count: int) -> None: ...

    def undo(self, count: int) -> None:
        """Replace the last blocks by one more; the account's transactions in them are gone."""


class Fake:
    def __init__(self, key: Key) -> None:
        self._node = FakeEthereum()
        self._node.mine(5)
        self.view = EthereumNode(self._node, network=Network.REGTEST)
        self.address = address_of(key.public)

    def pay_in(self) -> None:
        self._node.pay_in(self.address, FUNDS)

    def pay_out(self) -> None:
        self._node.pay_out(self.address, 21_000)

    def mine(self, count: int) -> None:
        self._node.mine(count)

    def undo(self, count: int) -> None:
        self._node.roll_back(count)
        self._node.mine(count + 1)


class Real:
    def __init__(self, key: Key, node: Anvil) -> None:
        self._node, self._key, self._sent = node, key, list[str]()
        self.view = EthereumNode.connect(node.url, network=Network.REGTEST)
        self.address = address_of(key.public)

    def pay_in(self) -> None:
        self._node.send(address=to_checksum_address("0x" + self.address), amount_wei=FUNDS)
        self._node.mine()

    def pay_out(self) -> None:
        nonce = int(self._node.call("eth_getTransactionCount", "0x" + self.address, "latest"), 16)
        signed = EthAccount.sign_transaction(
            {
                "type": 2,
                "chainId": 31_337,
                "nonce": nonce,
                "to": to_checksum_address("0x" + SINK),
                "value": 0,
                "gas": 21_000,
                "maxFeePerGas": 10**10,
                "maxPriorityFeePerGas": 10**9,
            },
            self._key.private.secret,
        )
        self._sent.append(self._node.call("eth_sendRawTransaction", "0x" + signed.raw_transaction.hex()))
        self._node.mine()

    def mine(self, count: int) -> None:
        self._node.mine(count)

    def undo(self, count: int) -> None:
        self._node.reorg(count, drop=self._sent)


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.system)])
async def chain(request: pytest.FixtureRequest) -> AsyncIterator[Chain]:
    key = Key.named(name_of(request.node.name))
    made: Chain = Fake(key) if request.param == "fake" else Real(key, request.getfixturevalue("anvil"))
    yield made
    if request.param == "real":
        await made.view.close()


async def test_tip_rises_with_the_chain(chain: Chain) -> None:
    before = await chain.view.tip()
    chain.mine(2)
    after = await chain.view.tip()
    assert after.height == before.height + 2
    assert after.time > before.time


async def test_balance_and_nonce_follow_the_latest_block(chain: Chain) -> None:
    assert await chain.view.balance(chain.address) == Wei(0)
    chain.pay_in()
    assert await chain.view.balance(chain.address) == Wei(FUNDS)
    assert await chain.view.next_nonce(chain.address) == 0
    chain.pay_out()
    assert await chain.view.next_nonce(chain.address) == 1
    assert await chain.view.balance(chain.address) < Wei(FUNDS)


async def test_a_nonce_is_spent_at_finality(chain: Chain) -> None:
    chain.pay_in()
    chain.pay_out()
    for _ in range(2):
        assert not await chain.view.anchor_spent_at_finality(chain.address, nonce=0)
        chain.mine(1)
    assert await chain.view.anchor_spent_at_finality(chain.address, nonce=0)
    assert not await chain.view.anchor_spent_at_finality(chain.address, nonce=1)


async def test_a_reorganisation_reopens_the_nonce(chain: Chain) -> None:
    chain.pay_in()
    chain.mine(3)
    chain.pay_out()
    chain.undo(1)
    assert await chain.view.next_nonce(chain.address) == 0
    chain.mine(3)
    assert not await chain.view.anchor_spent_at_finality(chain.address, nonce=0)
    chain.pay_out()
    chain.mine(2)
    assert await chain.view.anchor_spent_at_finality(chain.address, nonce=0)
