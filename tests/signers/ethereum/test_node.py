"""The node's view on a node in memory: nonces, finality, failures."""

from typing import Any

import pytest
from aiohttp import ClientConnectionError
from web3.exceptions import BadResponseFormat

from signers.ethereum.node import EthereumNode, NodeUnavailable, NodeUnfit
from signers.statements.amounts import Wei
from signers.statements.identifiers import EthereumAddress
from signers.statements.network import Network
from tests.signers.ethereum.fake_ethereum import BLOCK_SECONDS, START_TIME, FakeEthereum

ADDRESS = EthereumAddress("abcdef" + "77" * 17)


@pytest.fixture
def chain() -> FakeEthereum:
    made = FakeEthereum()
    made.mine(10)
    return made


@pytest.fixture
def node(chain: FakeEthereum) -> EthereumNode:
    return EthereumNode(chain, network=Network.REGTEST)


async def test_a_fit_node_passes(node: EthereumNode) -> None:
    await node.check()


@pytest.mark.parametrize("network", [Network.MAINNET, Network.TESTNET])
async def test_a_node_of_another_chain_is_refused(network: Network) -> None:
    with pytest.raises(NodeUnfit):
        await EthereumNode(FakeEthereum(), network=network).check()


async def test_the_tip(node: EthereumNode) -> None:
    tip = await node.tip()
    assert (tip.height, tip.time) == (10, START_TIME + 10 * BLOCK_SECONDS)


async def test_balance(node: EthereumNode, chain: FakeEthereum) -> None:
    chain.pay_in(ADDRESS, 5 * 10**18)
    assert await node.balance(ADDRESS) == Wei(5 * 10**18)
    assert await node.balance(EthereumAddress("11" * 20)) == Wei(0)


async def test_a_nonce_is_spent_at_finality_and_not_before(node: EthereumNode, chain: FakeEthereum) -> None:
    chain.pay_out(ADDRESS)
    chain.mine(2)
    assert await node.anchor_spent_at_finality(ADDRESS, nonce=0)
    assert not await node.anchor_spent_at_finality(ADDRESS, nonce=1)
    chain.pay_out(ADDRESS)
    for _ in range(2):
        assert await node.next_nonce(ADDRESS) == 2
        assert not await node.anchor_spent_at_finality(ADDRESS, nonce=1)
        chain.mine()
    assert await node.anchor_spent_at_finality(ADDRESS, nonce=1)


async def test_a_reorganisation_spends_nothing(node: EthereumNode, chain: FakeEthereum) -> None:
    chain.pay_out(ADDRESS)
    chain.roll_back(1)
    chain.mine(4)
    assert await node.next_nonce(ADDRESS) == 0
    assert not await node.anchor_spent_at_finality(ADDRESS, nonce=0)


async def _everything(node: EthereumNode) -> None:
    for question in (
        node.check(),
        node.tip(),
        node.next_nonce(ADDRESS),
        node.balance(ADDRESS),
        node.anchor_spent_at_finality(ADDRESS, nonce=0),
    ):
        with pytest.raises(NodeUnavailable):
            await question


@pytest.mark.parametrize(
    "fault", [ClientConnectionError("refused"), TimeoutError(), OSError("gone"), BadResponseFormat("no JSON")]
)
async def test_a_silent_node_is_unavailable(
    node: EthereumNode, chain: FakeEthereum, fault: Exception
) -> None:
    chain.fault = fault
    await _everything(node)


METHODS = ("eth_chainId", "eth_getBlockByNumber", "eth_getTransactionCount", "eth_getBalance")


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"code": -32_000, "message": "header not found"}},
        {"result": None},
        {"result": "no number"},
        {"result": []},
        {"result": {}},
        {"result": {"number": "0x1", "hash": "0x00", "timestamp": "0x1"}},
        {},
    ],
    ids=lambda answer: str(answer)[:30],
)
async def test_an_answer_of_another_form_is_unavailable(
    node: EthereumNode, chain: FakeEthereum, answer: Any
) -> None:
    chain.answers = dict.fromkeys(METHODS, answer)
    await _everything(node)


async def test_a_chain_without_a_finalised_block_is_unavailable() -> None:
    with pytest.raises(NodeUnavailable):
        await EthereumNode(FakeEthereum(), network=Network.REGTEST).anchor_spent_at_finality(ADDRESS, nonce=0)


async def test_a_balance_that_cannot_exist_is_unavailable(node: EthereumNode, chain: FakeEthereum) -> None:
    chain.answers["eth_getBalance"] = {"result": hex(10**30)}
    with pytest.raises(NodeUnavailable):
        await node.balance(ADDRESS)


@pytest.mark.parametrize(
    ("url", "network"),
    [
        ("http://127.0.0.1:8545", Network.MAINNET),
        ("http://127.0.0.1:8545", Network.TESTNET),
        ("http://10.0.0.1:8545", Network.REGTEST),
        ("ws://127.0.0.1:8545", Network.REGTEST),
    ],
)
def test_no_question_is_asked_in_the_clear(url: str, network: Network) -> None:
    with pytest.raises(ValueError, match="https"):
        EthereumNode.connect(url, network=network)


async def test_a_node_that_is_not_there_is_unavailable() -> None:
    node = EthereumNode.connect("http://127.0.0.1:1", network=Network.REGTEST)
    with pytest.raises(NodeUnavailable):
        await node.tip()
    await node.close()
