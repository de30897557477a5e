"""On a real node: a payout to the wei, replacement, one nonce, and its finality."""

from collections.abc import AsyncIterator

import pytest
from eth_utils.address import to_checksum_address

from deploy.localnet.anvil import Anvil
from deploy.localnet.json_rpc import RpcError
from signers.ethereum.construct import build_payout
from signers.ethereum.keccak import keccak
from signers.ethereum.node import EthereumNode, NodeUnavailable, NodeUnfit
from signers.ethereum.sign import sign_payout
from signers.ethereum.verify import verify_payout
from signers.statements.allowlist import EthereumDestination
from signers.statements.amounts import Wei
from signers.statements.identifiers import EthereumAddress
from signers.statements.network import Network
from tests.signers.bitcoin import material
from tests.signers.ethereum.material import GWEI, Payment

pytestmark = pytest.mark.system

ETHER = 10**18


@pytest.fixture
async def node(anvil: Anvil) -> AsyncIterator[EthereumNode]:
    made = EthereumNode.connect(anvil.url, network=Network.REGTEST)
    yield made
    await made.close()


@pytest.fixture
def account(request: pytest.FixtureRequest, anvil: Anvil) -> material.Material:
    """An account of this test alone, with 5 ETH."""
    made = material.make(material.name_of(request.node.name))
    anvil.send(address=to_checksum_address("0x" + made.account.ethereum.address), amount_wei=5 * ETHER)
    anvil.mine(3)
    return made


def pay(account: material.Material, *, to: EthereumAddress, gwei: int, nonce: int = 0) -> Payment:
    """1 ETH, at a price for a unit of gas."""
    return Payment(
        account=account.account,
        intent=material.intent(
            account,
            anchor=material.nonce_anchor(nonce),
            amount=Wei(ETHER),
            fee_cap=Wei(21_000 * 100 * GWEI),
            destination=EthereumDestination(address=to),
        ),
        fee=Wei(21_000 * gwei * GWEI),
    )


async def signed(account: material.Material, payment: Payment) -> bytes:
    payout = build_payout(**payment.arguments)
    verified = verify_payout(payout.payload, **payment.arguments)
    sign = account.holder.sign_recoverably
    return await sign_payout(payout=payout, verified=verified, sign=sign, **payment.arguments)


def broadcast(anvil: Anvil, transaction: bytes) -> str:
    return str(anvil.call("eth_sendRawTransaction", "0x" + transaction.hex()))


def name_of(transaction: bytes) -> str:
    """By which nodes name it."""
    return "0x" + keccak(transaction).hex()


async def test_the_node_is_fit_and_agrees_on_the_tip(anvil: Anvil, node: EthereumNode) -> None:
    await node.check()
    anvil.mine(3)
    tip = await node.tip()
    assert (tip.height, "0x" + tip.block_hash) == (anvil.height(), anvil.tip())


async def test_a_node_of_another_chain_is_refused(anvil: Anvil, node: EthereumNode) -> None:
    other = EthereumNode(node._web3.provider, network=Network.TESTNET)
    with pytest.raises(NodeUnfit):
        await other.check()


async def test_a_payout_to_the_wei(anvil: Anvil, node: EthereumNode, account: material.Material) -> None:
    own, payee = account.account.ethereum.address, EthereumAddress("a1" * 20)
    before = await node.balance(payee)
    payout = await signed(account, pay(account, to=payee, gwei=10))
    assert broadcast(anvil, payout) == name_of(payout)
    assert await node.next_nonce(own) == 0
    anvil.mine()
    receipt = anvil.call("eth_getTransactionReceipt", name_of(payout))
    assert (receipt["status"], receipt["gasUsed"], receipt["type"]) == ("0x1", hex(21_000), "0x2")
    fee = 21_000 * int(receipt["effectiveGasPrice"], 16)
    assert 0 < fee <= 21_000 * 10 * GWEI
    assert await node.balance(payee) == before + Wei(ETHER)
    assert await node.balance(own) == Wei(4 * ETHER - fee)


async def test_a_nonce_is_spent_at_finality(
    anvil: Anvil, node: EthereumNode, account: material.Material
) -> None:
    own = account.account.ethereum.address
    payout = await signed(account, pay(account, to=EthereumAddress("a2" * 20), gwei=10))
    broadcast(anvil, payout)
    for _ in range(3):
        assert not await node.anchor_spent_at_finality(own, nonce=0)
        anvil.mine()
    assert await node.anchor_spent_at_finality(own, nonce=0)
    assert not await node.anchor_spent_at_finality(own, nonce=1)


async def test_a_reorganisation_before_finality_reopens_the_nonce(
    anvil: Anvil, node: EthereumNode, account: material.Material
) -> None:
    own = account.account.ethereum.address
    payout = await signed(account, pay(account, to=EthereumAddress("a3" * 20), gwei=10))
    broadcast(anvil, payout)
    anvil.mine()
    assert await node.next_nonce(own) == 1
    anvil.reorg(1, drop=[name_of(payout)])
    anvil.mine(3)
    assert await node.next_nonce(own) == 0
    assert not await node.anchor_spent_at_finality(own, nonce=0)


async def test_a_higher_fee_replaces_and_only_one_attempt_confirms(
    anvil: Anvil, node: EthereumNode, account: material.Material
) -> None:
    payee = EthereumAddress("a4" * 20)
    first = await signed(account, pay(account, to=payee, gwei=10))
    second = await signed(account, pay(account, to=payee, gwei=12))
    broadcast(anvil, first)
    broadcast(anvil, second)
    assert anvil.mempool() & {name_of(first), name_of(second)} == {name_of(second)}
    anvil.mine()
    with pytest.raises(RpcError):
        broadcast(anvil, first)
    assert await node.balance(payee) == Wei(ETHER)


async def test_a_node_that_is_down_is_unavailable_and_comes_back(anvil: Anvil, node: EthereumNode) -> None:
    before = await node.tip()
    anvil.stop()
    with pytest.raises(NodeUnavailable):
        await node.tip()
    anvil.start()
    assert await node.tip() == before
