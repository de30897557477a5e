"""When answers of several nodes count as one.

`needed` of the nodes must say the same, and `needed` is more than half of them: then two different answers
can never both count, and a single node that lies, lags or was forked off decides nothing.

What proves itself (a block by its hash, an account by the state root) needs one honest answer only:
`first_proven`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from custody.adapters.json_rpc import RpcError, RpcUnavailable
from custody.application.ports.chains import (
    BlockHeader,
    BlockNotFound,
    BroadcastRejected,
    ChainDataInvalid,
    ChainUnavailable,
    FeeTooLow,
    NodesDisagree,
    TransactionNotFound,
)

HEIGHTS_BACK_MAX = 6
"""How far below the common height nodes may still differ and be merely racing (a fork of a few blocks)."""
LAG_BLOCKS_MAX = 6
"""How far one node's tip may be behind another's while a block travels."""

_FAULTS = (RpcUnavailable, RpcError, ChainDataInvalid)
_ABSENCES = (BlockNotFound, TransactionNotFound)


class _Node(Protocol):
    @property
    def name(self) -> str: ...


class _HeightNode(_Node, Protocol):
    async def block_at(self, height: int) -> BlockHeader: ...


N = TypeVar("N", bound=_Node)
H = TypeVar("H", bound=_HeightNode)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answers(Generic[N, T]):
    """What the nodes said: by node, and why the others said nothing."""

    given: tuple[tuple[N, T], ...]
    faults: tuple[str, ...]

    @property
    def values(self) -> tuple[T, ...]:
        """The answers alone."""
        return tuple(value for _, value in self.given)

    def require(self, needed: int) -> None:
        """Raise `ChainUnavailable` where fewer than `needed` answered."""
        if len(self.given) < needed:
            raise ChainUnavailable(answered=len(self.given), needed=needed, causes=self.faults)


def check_majority(*, nodes: int, needed: int) -> None:
    """Refuse a deployment in which two different answers could both count.

    Raises:
        ValueError: `needed` is not more than half of the nodes, or more than all.
    """
    if not nodes // 2 < needed <= nodes:
        raise ValueError(f"{needed} of {nodes} nodes is no majority that can be reached")


async def ask(nodes: Sequence[N], question: Callable[[N], Awaitable[T]]) -> Answers[N, T]:
    """Ask every node at once. A node that has not got what was asked for has not answered.

    Raises:
        WrongNetwork: a node is of another chain: a fault of the deployment that no majority heals.
    """
    outcomes = await asyncio.gather(*(_one(node, question) for node in nodes))
    given = tuple(
        (node, answer[0]) for node, answer in zip(nodes, outcomes, strict=True) if isinstance(answer, tuple)
    )
    return Answers(given, tuple(answer for answer in outcomes if isinstance(answer, str)))


async def _one(node: N, question: Callable[[N], Awaitable[T]]) -> tuple[T] | str:
    try:
        return (await question(node),)
    except (*_FAULTS, *_ABSENCES) as error:
        return f"{node.name}: {error}"


async def agreed(
    nodes: Sequence[N], *, needed: int, subject: str, question: Callable[[N], Awaitable[T]]
) -> T:
    """The answer that `needed` nodes give.

    Raises:
        BlockNotFound, TransactionNotFound: `needed` nodes say so.
        ChainUnavailable: too few answered.
        NodesDisagree: no answer has `needed` nodes behind it.
        WrongNetwork: as `ask`.
    """

    async def absence_too(node: N) -> tuple[T | None, str]:
        try:
            return await question(node), ""
        except _ABSENCES as error:
            return None, type(error).__name__

    answers = await ask(nodes, absence_too)
    answers.require(needed)
    for value, absence in answers.values:
        if sum(other == (value, absence) for other in answers.values) >= needed:
            if absence:
                raise next(kind for kind in _ABSENCES if kind.__name__ == absence)(subject)
            return value  # type: ignore[return-value] # an answer without an absence is a T
    raise NodesDisagree(subject=subject, answers=[f"{node.name}: {answer}" for node, answer in answers.given])


async def hand_in(nodes: Sequence[N], *, give: Callable[[N], Awaitable[None]]) -> None:
    """Give a transaction to every node; one that takes it is enough.

    Raises:
        BroadcastRejected: no node took it; `FeeTooLow` where one of them refused it for its fee.
        ChainUnavailable: no node answered.
        WrongNetwork: as `ask`.
    """

    async def refusal(node: N) -> BroadcastRejected | None:
        try:
            await give(node)
        except BroadcastRejected as error:
            return error
        return None

    answers = await ask(nodes, refusal)
    answers.require(1)
    refusals = [answer for answer in answers.values if answer is not None]
    if len(refusals) == len(answers.values):
        cheap = any(isinstance(error, FeeTooLow) for error in refusals)
        raise (FeeTooLow if cheap else BroadcastRejected)(
            [why for error in refusals for why in error.reasons]
        )


async def first_proven(nodes: Sequence[N], *, question: Callable[[N], Awaitable[T]]) -> T:
    """The first answer that proves itself; the nodes are asked one after the other.

    Raises:
        BlockNotFound, TransactionNotFound: no node has it and at least one said so.
        ChainDataInvalid: no node has it and at least one gave something else for it.
        ChainUnavailable: none answered.
    """
    causes: list[str] = []
    absent: Exception | None = None
    for node in nodes:
        try:
            return await question(node)
        except _ABSENCES as error:
            absent = error
        except ChainDataInvalid as error:
            absent = absent or error
            causes.append(f"{node.name}: {error}")
        except (RpcUnavailable, RpcError) as error:
            causes.append(f"{node.name}: {error}")
    if absent is not None:
        raise absent
    raise ChainUnavailable(answered=0, needed=1, causes=causes)


async def highest_agreed(
    nodes: Sequence[H],
    *,
    needed: int,
    tops: Answers[H, BlockHeader],
    lag_blocks_max: int = LAG_BLOCKS_MAX,
) -> BlockHeader:
    """The highest block that `needed` nodes have on their chain.

    Args:
        nodes: whom to ask.
        needed: how many must say the same.
        tops: each node's own highest block.
        lag_blocks_max: how far it may be behind what a node says that is not outvoted.

    Raises:
        ChainUnavailable: too few answered.
        NodesDisagree: they are on different chains, or a node that is needed stays behind the others.
    """
    tops.require(needed)
    heights = sorted((top.height for top in tops.values), reverse=True)
    common = heights[needed - 1]
    # Those outvoted may say any height. One more says this or a higher one: a node that is needed and stays
    # where it is would keep the view from moving.
    believed = heights[len(nodes) - needed]
    if believed - common > lag_blocks_max:
        raise NodesDisagree(
            subject=f"a chain at {believed}, a node that is needed at {common}", answers=_said(tops)
        )
    if len({top for top in tops.values if top.height == common}) == 1 and _count_at(tops, common) >= needed:
        return next(top for top in tops.values if top.height == common)
    for height in range(common, max(-1, common - HEIGHTS_BACK_MAX), -1):
        try:
            return await agreed(
                nodes,
                needed=needed,
                subject=f"block {height}",
                question=lambda node, at=height: node.block_at(at),  # type: ignore[misc] # a default binds the height
            )
        except (NodesDisagree, BlockNotFound):
            continue
    raise NodesDisagree(
        subject=f"the chain below {common}",
        answers=_said(tops),
    )


def _said(tops: Answers[H, BlockHeader]) -> list[str]:
    return [f"{node.name}: {top.height} {top.block_hash}" for node, top in tops.given]


def _count_at(tops: Answers[H, BlockHeader], height: int) -> int:
    return sum(top.height == height for top in tops.values)
