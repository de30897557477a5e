"""When several nodes' answers count: majorities, lies, lags, absences, wrong networks."""

import hashlib
from collections.abc import Sequence

import pytest

from custody.adapters.agreement import (
    LAG_BLOCKS_MAX,
    agreed,
    ask,
    check_majority,
    first_proven,
    hand_in,
    highest_agreed,
)
from custody.adapters.json_rpc import RpcUnavailable
from custody.application.ports.chains import (
    BlockHeader,
    BlockNotFound,
    BroadcastRejected,
    ChainDataInvalid,
    ChainUnavailable,
    FeeTooLow,
    NodesDisagree,
    WrongNetwork,
)
from signers.statements.identifiers import BlockHash


def block(height: int, branch: str = "main") -> BlockHeader:
    def named(at: int) -> BlockHash:
        return BlockHash(hashlib.sha256(f"{branch if at > 95 else 'main'} {at}".encode()).hexdigest())

    return BlockHeader(height=height, block_hash=named(height), parent=named(height - 1))


class Node:
    """A node with a chain of its own, or a fault."""

    def __init__(
        self, name: str, *, height: int = 100, branch: str = "main", fault: Exception | None = None
    ) -> None:
        self.name = name
        self.height = height
        self.branch = branch
        self.fault = fault
        self.asked = 0

    async def tip(self) -> BlockHeader:
        return await self.block_at(self.height)

    async def block_at(self, height: int) -> BlockHeader:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        if height > self.height:
            raise BlockNotFound(str(height))
        return block(height, self.branch)


DOWN = RpcUnavailable("down")


async def tip_of(nodes: Sequence[Node], needed: int) -> BlockHeader:
    return await highest_agreed(nodes, needed=needed, tops=await ask(nodes, Node.tip))


@pytest.mark.parametrize(("nodes", "needed"), [(1, 0), (2, 1), (3, 1), (3, 4), (4, 2), (0, 0)])
def test_less_than_a_majority_is_no_deployment(nodes: int, needed: int) -> None:
    with pytest.raises(ValueError, match="no majority"):
        check_majority(nodes=nodes, needed=needed)


@pytest.mark.parametrize(("nodes", "needed"), [(1, 1), (2, 2), (3, 2), (3, 3), (5, 3)])
def test_a_majority_is_a_deployment(nodes: int, needed: int) -> None:
    check_majority(nodes=nodes, needed=needed)


async def test_nodes_on_one_tip_agree_on_it() -> None:
    assert await tip_of([Node("a"), Node("b"), Node("c")], 2) == block(100)


async def test_the_highest_block_that_enough_nodes_have_is_the_tip() -> None:
    nodes = [Node("a", height=103), Node("b", height=101), Node("c", height=99)]
    assert await tip_of(nodes, 2) == block(101)
    assert await tip_of(nodes, 3) == block(99)


async def test_one_lying_node_of_three_changes_nothing() -> None:
    nodes = [Node("a"), Node("liar", height=150, branch="lie"), Node("c")]
    assert await tip_of(nodes, 2) == block(100)


async def test_a_node_that_is_needed_and_stays_behind_is_a_disagreement() -> None:
    """Two of two: the owner of one keeps the tip from moving by answering what was once true."""
    ahead = 90 + LAG_BLOCKS_MAX
    assert await tip_of([Node("a", height=ahead), Node("frozen", height=90)], 2) == block(90)
    with pytest.raises(NodesDisagree, match="a node that is needed at 90"):
        await tip_of([Node("a", height=ahead + 1), Node("frozen", height=90)], 2)
    three = [Node("a", height=ahead + 1), Node("b", height=ahead + 1), Node("frozen", height=90)]
    with pytest.raises(NodesDisagree):
        await tip_of(three, 3)


async def test_a_node_that_is_outvoted_may_stay_behind_or_run_ahead() -> None:
    assert await tip_of([Node("a"), Node("b"), Node("frozen", height=10)], 2) == block(100)
    assert await tip_of([Node("a"), Node("b"), Node("liar", height=10**9)], 2) == block(100)


async def test_a_fork_of_a_few_blocks_lowers_the_tip_to_what_both_have() -> None:
    assert await tip_of([Node("a", height=97), Node("b", height=97, branch="other")], 2) == block(95)


async def test_two_chains_are_a_disagreement() -> None:
    with pytest.raises(NodesDisagree):
        await tip_of([Node("a", height=120), Node("b", height=120, branch="other")], 2)


async def test_too_few_nodes_that_answer_are_no_answer() -> None:
    with pytest.raises(ChainUnavailable, match="1 of 2"):
        await tip_of([Node("a"), Node("b", fault=DOWN), Node("c", fault=DOWN)], 2)


async def test_a_node_of_another_network_is_never_outvoted() -> None:
    with pytest.raises(WrongNetwork):
        await tip_of([Node("a"), Node("b"), Node("c", fault=WrongNetwork("testnet"))], 2)


async def test_agreed_takes_the_majority_and_tells_absence_from_disagreement() -> None:
    def at(height: int, nodes: Sequence[Node]) -> object:
        return agreed(nodes, needed=2, subject="block", question=lambda node: node.block_at(height))

    nodes = [Node("a", height=100), Node("b", height=100), Node("c", height=101)]
    assert await at(100, nodes) == block(100)  # type: ignore[misc] # an awaitable
    with pytest.raises(BlockNotFound):
        await at(101, nodes)  # type: ignore[misc] # an awaitable
    with pytest.raises(NodesDisagree):
        await at(98, [Node("a"), Node("b", branch="x"), Node("c", branch="y")])  # type: ignore[misc] # an awaitable


async def test_what_proves_itself_is_taken_from_the_first_honest_node() -> None:
    liar, honest, never = Node("liar", fault=ChainDataInvalid("a lie")), Node("honest"), Node("never")
    assert await first_proven([liar, honest, never], question=Node.tip) == block(100)
    assert never.asked == 0


@pytest.mark.parametrize(
    ("faults", "raised"),
    [
        ([DOWN, DOWN], ChainUnavailable),
        ([DOWN, BlockNotFound("x")], BlockNotFound),
        ([ChainDataInvalid("x"), DOWN], ChainDataInvalid),
        ([ChainDataInvalid("x"), BlockNotFound("x")], BlockNotFound),
    ],
)
async def test_what_nobody_proves_is_not_there(faults: list[Exception], raised: type[Exception]) -> None:
    nodes = [Node(str(index), fault=fault) for index, fault in enumerate(faults)]
    with pytest.raises(raised):
        await first_proven(nodes, question=Node.tip)


@pytest.mark.parametrize(
    ("faults", "raised"),
    [
        ([None, FeeTooLow(["a"])], None),
        ([BroadcastRejected(["a"]), BroadcastRejected(["b"])], BroadcastRejected),
        ([BroadcastRejected(["a"]), FeeTooLow(["b"])], FeeTooLow),
        ([DOWN, FeeTooLow(["b"])], FeeTooLow),
        ([DOWN, DOWN], ChainUnavailable),
    ],
)
async def test_one_node_that_takes_a_transaction_is_enough(
    faults: list[Exception | None], raised: type[Exception] | None
) -> None:
    async def give(node: Node) -> None:
        await node.tip()

    given = hand_in([Node(str(index), fault=fault) for index, fault in enumerate(faults)], give=give)
    if raised is None:
        await given
        return
    with pytest.raises(raised) as refused:
        await given
    assert type(refused.value) is raised
