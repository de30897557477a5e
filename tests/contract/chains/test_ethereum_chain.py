"""`EthereumChain`: what every implementation does."""

import pytest

from custody.adapters.ethereum_node import EthereumNode, transaction_hash
from custody.adapters.ethereum_nodes import EthereumNodes
from custody.application.ports.chains import (
    BlockNotFound,
    BroadcastRejected,
    ChainDataInvalid,
    FeeTooLow,
    WrongNetwork,
)
from signers.statements.amounts import Wei
from signers.statements.network import Network
from tests.contract.chains.conftest import Nodes
from tests.contract.chains.ethereum_chains import (
    EthereumHarness,
    RealEthereumHarness,
    address_of,
    fresh_account,
    fresh_address,
    transfer,
)

ETHER = 10**18


async def test_blocks_stand_on_each_other_up_to_the_head(ethereum: EthereumHarness) -> None:
    ethereum.mine(2)
    head = await ethereum.chain.head()
    below = await ethereum.chain.block_at(head.height - 1)
    assert await ethereum.chain.block_at(head.height) == head
    assert head.parent == below.block_hash
    with pytest.raises(BlockNotFound):
        await ethereum.chain.block_at(head.height + 1)


async def test_the_finalised_block_follows_the_head(ethereum: EthereumHarness) -> None:
    ethereum.mine(5)
    final, head = await ethereum.chain.finalised(), await ethereum.chain.head()
    assert final.height == head.height - 2
    assert await ethereum.chain.block_at(final.height) == final


async def test_balances_are_those_after_each_block(ethereum: EthereumHarness) -> None:
    address = fresh_address()
    ethereum.mine()
    before = await ethereum.chain.head()
    ethereum.pay(address, 3 * ETHER)
    ethereum.mine()
    after = await ethereum.chain.head()
    empty = await ethereum.chain.account_at(address, before)
    paid = await ethereum.chain.account_at(address, after)
    assert (empty.balance, empty.nonce, empty.block) == (Wei(0), 0, before.ref)
    assert (paid.balance, paid.nonce, paid.block) == (Wei(3 * ETHER), 0, after.ref)


async def test_a_transfer_is_executed_once_and_its_fee_is_what_left(ethereum: EthereumHarness) -> None:
    sender, to = fresh_account(), fresh_address()
    ethereum.pay(address_of(sender), ETHER)
    ethereum.mine()
    raw = transfer(sender, to, ETHER // 4, nonce=0)
    assert await ethereum.chain.broadcast(raw) == transaction_hash(raw)
    assert await ethereum.chain.broadcast(raw) == transaction_hash(raw)
    assert await ethereum.chain.executed(transaction_hash(raw)) is None
    ethereum.mine()
    head = await ethereum.chain.head()
    done = await ethereum.chain.executed(transaction_hash(raw))
    assert done is not None
    assert (done.block, done.succeeded) == (head, True)
    state = await ethereum.chain.account_at(address_of(sender), head)
    assert state.nonce == 1
    assert state.balance == Wei(ETHER - ETHER // 4) - done.fee
    assert await ethereum.chain.broadcast(raw) == transaction_hash(raw), "executed already: a success"


async def test_another_transaction_of_a_used_nonce_is_rejected(ethereum: EthereumHarness) -> None:
    sender = fresh_account()
    ethereum.pay(address_of(sender), ETHER)
    ethereum.mine()
    await ethereum.chain.broadcast(transfer(sender, fresh_address(), 1, nonce=0))
    ethereum.mine()
    with pytest.raises(BroadcastRejected) as refused:
        await ethereum.chain.broadcast(transfer(sender, fresh_address(), 2, nonce=0))
    assert not isinstance(refused.value, FeeTooLow)


@pytest.mark.parametrize(("before", "fee_per_gas_wei"), [(None, 1), (10**11, 10**11 - 1)])
async def test_a_fee_below_what_nodes_take_is_refused_as_such(
    ethereum: EthereumHarness, before: int | None, fee_per_gas_wei: int
) -> None:
    """Less than the base fee, or than the transaction that it would replace."""
    sender = fresh_account()
    ethereum.pay(address_of(sender), ETHER)
    ethereum.mine()
    if before is not None:
        await ethereum.chain.broadcast(transfer(sender, fresh_address(), 1, nonce=0, fee_per_gas_wei=before))
    with pytest.raises(FeeTooLow):
        await ethereum.chain.broadcast(
            transfer(sender, fresh_address(), 2, nonce=0, fee_per_gas_wei=fee_per_gas_wei)
        )


async def test_a_reorganisation_changes_the_blocks(ethereum: EthereumHarness) -> None:
    ethereum.mine(4)
    before = await ethereum.chain.head()
    ethereum.reorg(2)
    assert (await ethereum.chain.head()).height == before.height + 1
    assert await ethereum.chain.block_at(before.height) != before


async def test_a_fee_quote_is_something(ethereum: EthereumHarness) -> None:
    quote = await ethereum.chain.fee_quote()
    assert quote.base_fee_per_gas_wei > 0
    assert quote.priority_fee_per_gas_wei >= 0


@pytest.mark.system
async def test_an_account_with_code_is_refused(nodes: Nodes) -> None:
    real, address = RealEthereumHarness(nodes.anvil()), fresh_address()
    real.anvil.call("anvil_setCode", f"0x{address}", "0x6001")
    real.mine()
    with pytest.raises(ChainDataInvalid, match="has code"):
        await real.chain.account_at(address, await real.chain.head())
    real.close()


@pytest.mark.system
async def test_a_state_of_a_block_that_was_replaced_is_not_proven(nodes: Nodes) -> None:
    real, address = RealEthereumHarness(nodes.anvil()), fresh_address()
    real.pay(address, ETHER)
    real.mine(2)
    lost = await real.chain.head()
    real.reorg(2)
    with pytest.raises((ChainDataInvalid, BlockNotFound)):
        await real.chain.account_at(address, lost)
    real.close()


@pytest.mark.system
async def test_a_node_of_another_network_is_refused(nodes: Nodes) -> None:
    real = RealEthereumHarness(nodes.anvil())
    wrong = EthereumNodes([EthereumNode(real.rpc, network=Network.MAINNET)], needed=1)
    head = await real.chain.head()
    raw = transfer(fresh_account(), fresh_address(), 1, nonce=0)
    for use in (
        wrong.head(),
        wrong.account_at(fresh_address(), head),
        wrong.broadcast(raw),
    ):
        with pytest.raises(WrongNetwork):
            await use
    real.close()
