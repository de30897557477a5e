import itertools
import time

import pytest

from deploy.localnet.anvil import CHAIN_ID, Anvil
from deploy.localnet.localnet import Localnet

pytestmark = pytest.mark.system
# The first account of the mnemonic every development tool ships.
PUBLIC_DEVELOPMENT_ACCOUNT = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
BLOCKS_NOW = 3


@pytest.fixture
def anvil(localnet: Localnet) -> Anvil:
    return localnet.anvil


@pytest.fixture
def destination(request: pytest.FixtureRequest) -> str:
    """An address of this test alone."""
    return f"0x{abs(hash(request.node.nodeid)) % 2**152:040x}"


def timestamps(anvil: Anvil) -> list[int]:
    blocks = (anvil.call("eth_getBlockByNumber", hex(number), False) for number in range(anvil.height() + 1))
    return [int(block["timestamp"], 16) for block in blocks]


def test_the_chain_id_is_the_development_chains(anvil: Anvil) -> None:
    assert int(anvil.call("eth_chainId"), 16) == CHAIN_ID


def test_no_public_development_key_holds_anything(anvil: Anvil) -> None:
    assert anvil.call("eth_accounts") == []
    assert anvil.balance_wei(PUBLIC_DEVELOPMENT_ACCOUNT) == 0
    assert anvil.balance_wei(anvil.pledgor_address) > 0


def test_nothing_is_mined_unasked(anvil: Anvil, destination: str) -> None:
    height = anvil.height()
    name = anvil.send(address=destination, amount_wei=1)
    assert anvil.height() == height
    assert anvil.mempool() == {name}
    anvil.mine()
    assert (anvil.height(), anvil.mempool(), anvil.balance_wei(destination)) == (height + 1, frozenset(), 1)


def test_a_block_is_final_two_blocks_later(anvil: Anvil) -> None:
    anvil.mine(BLOCKS_NOW)
    final = anvil.call("eth_getBlockByNumber", "finalized", False)
    assert int(final["number"], 16) == anvil.height() - 2


def test_time_strictly_rises_and_follows_the_clock(anvil: Anvil) -> None:
    anvil.mine(BLOCKS_NOW)
    anvil.reorg(2)
    times = timestamps(anvil)
    assert all(earlier < later for earlier, later in itertools.pairwise(times))
    # Never further ahead than one second per block.
    assert time.time() - 60 < times[-1] < time.time() + len(times)


def test_a_reorg_replaces_blocks_by_a_longer_chain(anvil: Anvil, destination: str) -> None:
    name = anvil.send(address=destination, amount_wei=7)
    replaced = (*anvil.mine(), *anvil.mine())
    height = anvil.height()
    new = anvil.reorg(2)
    assert (anvil.height(), len(new)) == (height + 1, 3)
    assert set(new).isdisjoint(replaced)
    assert anvil.balance_wei(destination) == 0
    assert anvil.call("eth_getTransactionReceipt", name) is None
    assert anvil.mempool() == {name}
    anvil.mine()
    assert anvil.balance_wei(destination) == 7


def test_empty_blocks_are_replaced_too(anvil: Anvil) -> None:
    replaced = anvil.mine(BLOCKS_NOW)
    assert set(anvil.reorg(BLOCKS_NOW)).isdisjoint(replaced)


def test_a_reorg_below_finality_drops_a_transaction(anvil: Anvil, destination: str) -> None:
    name = anvil.send(address=destination, amount_wei=7)
    anvil.mine(5)
    anvil.reorg(5, drop=[name])
    assert anvil.mempool() == frozenset()
    anvil.mine()
    assert anvil.balance_wei(destination) == 0
    assert anvil.call("eth_getTransactionReceipt", name) is None
    anvil.send(address=destination, amount_wei=9)
    anvil.mine()
    assert anvil.balance_wei(destination) == 9


def test_waiting_transactions_wait_on_through_a_reorg(anvil: Anvil, destination: str) -> None:
    anvil.mine()
    name = anvil.send(address=destination, amount_wei=7)
    anvil.reorg(1)
    assert anvil.mempool() == {name}
    anvil.mine()
    assert anvil.balance_wei(destination) == 7


@pytest.mark.parametrize("depth", [0, 10**6])
def test_an_impossible_depth_is_refused_and_nothing_replaced(anvil: Anvil, depth: int) -> None:
    tip = anvil.tip()
    with pytest.raises(ValueError, match="depth"):
        anvil.reorg(depth)
    assert anvil.tip() == tip


@pytest.mark.parametrize("way", ["restart", "crash"])
def test_the_chain_outlives_the_process(anvil: Anvil, destination: str, way: str) -> None:
    anvil.send(address=destination, amount_wei=7)
    anvil.mine()
    before = (anvil.height(), anvil.tip())
    if way == "restart":
        anvil.restart()
    else:
        anvil.kill()
        assert not anvil.process.is_running
        anvil.start()
    assert (anvil.height(), anvil.tip()) == before
    assert anvil.balance_wei(destination) == 7
    anvil.send(address=destination, amount_wei=1)
    anvil.mine()
    anvil.reorg(1)
    assert anvil.balance_wei(destination) == 7
    anvil.mine()
