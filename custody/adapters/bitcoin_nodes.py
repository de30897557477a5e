"""The Bitcoin chain as several own nodes agree on it: implements the port `BitcoinChain`."""

from collections.abc import Collection, Sequence
from statistics import median_high

from custody.adapters.agreement import agreed, ask, check_majority, first_proven, hand_in, highest_agreed
from custody.adapters.bitcoin_node import BitcoinNode
from custody.adapters.block_matching import transaction_id
from custody.application.ports.chains import (
    BitcoinWatch,
    BlockActivity,
    BlockHeader,
    ChainUnavailable,
    FeeRate,
    NodesDisagree,
    UnspentSet,
)
from signers.statements.identifiers import BlockHash, ScriptPubKey, TxId


class BitcoinNodes:
    """`BitcoinChain` over nodes of which `needed` must say the same.

    Args:
        nodes: custody's own nodes.
        needed: more than half of them.

    Raises:
        ValueError: `needed` is not a majority.
    """

    def __init__(self, nodes: Sequence[BitcoinNode], *, needed: int) -> None:
        check_majority(nodes=len(nodes), needed=needed)
        self._nodes = tuple(nodes)
        self._needed = needed

    async def tip(self) -> BlockHeader:
        """As the port says."""
        tops = await ask(self._nodes, BitcoinNode.tip)
        return await highest_agreed(self._nodes, needed=self._needed, tops=tops)

    async def block_at(self, height: int) -> BlockHeader:
        """As the port says."""
        return await agreed(
            self._nodes,
            needed=self._needed,
            subject=f"Bitcoin block {height}",
            question=lambda node: node.block_at(height),
        )

    async def activity(self, block: BlockHeader, watch: BitcoinWatch) -> BlockActivity:
        """As the port says. The bytes are bound to the hash, so one node is enough."""
        return await first_proven(self._nodes, question=lambda node: node.activity(block, watch))

    async def raw_transaction(self, txid: TxId, *, block: BlockHash | None = None) -> bytes:
        """As the port says. The bytes are bound to the id, so one node is enough."""
        return await first_proven(self._nodes, question=lambda node: node.raw_transaction(txid, block))

    async def broadcast(self, raw: bytes) -> TxId:
        """As the port says."""
        txid = transaction_id(raw)
        await hand_in(self._nodes, give=lambda node: node.broadcast(raw, txid))
        return txid

    async def fee_rate(self, *, target_blocks: int) -> FeeRate:
        """As the port says."""
        answers = await ask(self._nodes, lambda node: node.fee_rate(target_blocks))
        answers.require(self._needed)
        return median_high(answers.values)

    async def unspent(self, scripts: Collection[ScriptPubKey]) -> UnspentSet:
        """As the port says."""
        answers = await ask(self._nodes, lambda node: node.unspent(scripts))
        answers.require(self._needed)
        for found in answers.values:
            if answers.values.count(found) >= self._needed:
                return found
        if len({found.block for found in answers.values}) > 1:
            raise ChainUnavailable(
                answered=0, needed=self._needed, causes=["the nodes scanned at different blocks"]
            )
        raise NodesDisagree(
            subject="unspent outputs",
            answers=[f"{node.name}: {len(found.outputs)}" for node, found in answers.given],
        )
