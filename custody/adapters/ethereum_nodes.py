"""The Ethereum chain as several own nodes agree on it: implements the port `EthereumChain`."""

from collections.abc import Sequence
from statistics import median_high
from typing import Final

from custody.adapters.agreement import (
    Answers,
    agreed,
    ask,
    check_majority,
    first_proven,
    hand_in,
    highest_agreed,
)
from custody.adapters.ethereum_node import EthereumNode, transaction_hash
from custody.application.ports.chains import (
    BlockHeader,
    BlockNotFound,
    Executed,
    FeeQuote,
    ProvenState,
)
from signers.statements.identifiers import EthereumAddress, TxId

FINALITY_LAG_BLOCKS_MAX: Final = 96
"""Three epochs of 32 slots: finality comes an epoch at a time, and not to all nodes at once."""


class EthereumNodes:
    """`EthereumChain` over nodes of which `needed` must say the same.

    Args:
        nodes: custody's own nodes.
        needed: more than half of them.

    Raises:
        ValueError: `needed` is not a majority.
    """

    def __init__(self, nodes: Sequence[EthereumNode], *, needed: int) -> None:
        check_majority(nodes=len(nodes), needed=needed)
        self._nodes = tuple(nodes)
        self._needed = needed

    async def head(self) -> BlockHeader:
        """As the port says."""
        tops = await ask(self._nodes, EthereumNode.head)
        return await highest_agreed(self._nodes, needed=self._needed, tops=tops)

    async def finalised(self) -> BlockHeader:
        """As the port says."""
        tops = await ask(self._nodes, _finalised_or_none)
        tops.require(self._needed)
        known = Answers(tuple((node, top) for node, top in tops.given if top is not None), tops.faults)
        if len(known.given) < self._needed:
            raise BlockNotFound("nothing is final yet")
        return await highest_agreed(
            self._nodes, needed=self._needed, tops=known, lag_blocks_max=FINALITY_LAG_BLOCKS_MAX
        )

    async def block_at(self, height: int) -> BlockHeader:
        """As the port says."""
        return await agreed(
            self._nodes,
            needed=self._needed,
            subject=f"Ethereum block {height}",
            question=lambda node: node.block_at(height),
        )

    async def account_at(self, address: EthereumAddress, block: BlockHeader) -> ProvenState:
        """As the port says. The account is proven under the block's hash, so one node is enough."""
        return await first_proven(self._nodes, question=lambda node: node.account_at(address, block))

    async def fee_quote(self) -> FeeQuote:
        """As the port says."""
        answers = await ask(self._nodes, EthereumNode.fee_quote)
        answers.require(self._needed)
        return FeeQuote(
            base_fee_per_gas_wei=median_high(quote.base_fee_per_gas_wei for quote in answers.values),
            priority_fee_per_gas_wei=median_high(quote.priority_fee_per_gas_wei for quote in answers.values),
        )

    async def broadcast(self, raw: bytes) -> TxId:
        """As the port says."""
        await hand_in(self._nodes, give=lambda node: node.broadcast(raw))
        return transaction_hash(raw)

    async def executed(self, tx_hash: TxId) -> Executed | None:
        """As the port says."""
        return await agreed(
            self._nodes,
            needed=self._needed,
            subject=f"Ethereum transaction {tx_hash}",
            question=lambda node: node.executed(tx_hash),
        )


async def _finalised_or_none(node: EthereumNode) -> BlockHeader | None:
    try:
        return await node.finalised()
    except BlockNotFound:
        return None
