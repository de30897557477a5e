"""What custody asks of the two chains, and what they answer.

Every answer of these ports was checked by the adapter as far as it can be: a block's transactions against
its own hash, an Ethereum balance against the state root of a header whose hash was recomputed, and each
against as many independent nodes as the deployment asks for. Callers still treat a chain as something that
can change its mind: every value names the block it was read at.
"""
# ruff: noqa: N818 - the conditions are named by what happened, as the domain's refusals are

from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol

from custody.domain.chain_view import BlockRef
from custody.domain.deposit import Outpoint
from signers.statements.amounts import Sats, Wei
from signers.statements.identifiers import BlockHash, EthereumAddress, ScriptPubKey, TxId


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockHeader:
    """One block of either chain, and what it stands on."""

    height: int
    block_hash: BlockHash
    parent: BlockHash
    """Zeroes for the genesis block."""

    @property
    def ref(self) -> BlockRef:
        """The block as it is recorded."""
        return BlockRef(self.height, self.block_hash)


def outpoint_wire(outpoint: Outpoint) -> bytes:
    """An outpoint as inputs carry it: txid byte-reversed, then the index as four little-endian bytes."""
    return outpoint.txid.raw[::-1] + outpoint.index.to_bytes(4, "little")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """An output of a block at a watched script."""

    outpoint: Outpoint
    script: ScriptPubKey
    amount: Sats


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionActivity:
    """What one transaction did at the watched scripts."""

    txid: TxId
    spends: tuple[Outpoint, ...]
    """Watched outpoints, and arrivals of the same block, that it spends."""
    arrivals: tuple[Arrival, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockActivity:
    """What one Bitcoin block did at the watched scripts."""

    block: BlockHeader
    transactions: tuple[TransactionActivity, ...]
    """In the block's order; those that did nothing there are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BitcoinWatch:
    """What to look for in a block. The sets are shared with their owner, never copied: a million is normal.

    Their owner replaces them rather than changes them while a block is being matched.
    """

    scripts: AbstractSet[bytes]
    """Output scripts, raw."""
    outpoints: AbstractSet[bytes]
    """Unspent outputs at those scripts, 36 bytes as inputs carry them (`outpoint_wire`)."""


@dataclass(frozen=True, slots=True, order=True)
class FeeRate:
    """Satoshi per 1,000 virtual bytes, rounded up."""

    sats_per_kvb: int

    def fee(self, vsize: int) -> Sats:
        """The fee of `vsize` virtual bytes, rounded up."""
        return Sats(-(-self.sats_per_kvb * vsize // 1000))


@dataclass(frozen=True, slots=True, kw_only=True)
class UnspentOutput:
    """An output of the node's set of unspent outputs."""

    outpoint: Outpoint
    script: ScriptPubKey
    amount: Sats


@dataclass(frozen=True, slots=True, kw_only=True)
class UnspentSet:
    """All unspent outputs at some scripts, as of one block."""

    block: BlockRef
    outputs: tuple[UnspentOutput, ...]


class BitcoinChain(Protocol):
    """The Bitcoin chain as custody's own nodes agree on it.

    Every method raises `ChainUnavailable` where too few nodes answer in time and `NodesDisagree` where they
    answer differently.
    """

    async def tip(self) -> BlockHeader:
        """The highest block the nodes agree on."""
        ...

    async def block_at(self, height: int) -> BlockHeader:
        """The block of the active chain at `height`.

        Raises:
            BlockNotFound: the chain is shorter.
        """
        ...

    async def activity(self, block: BlockHeader, watch: BitcoinWatch) -> BlockActivity:
        """What `block` did at the watched scripts. Its bytes are checked against its hash.

        Raises:
            BlockNotFound: no node knows it any more.
            ChainDataInvalid: the bytes are not those of that block.
        """
        ...

    async def raw_transaction(self, txid: TxId, *, block: BlockHash | None = None) -> bytes:
        """A transaction, serialised without witnesses, checked against its id, which does not cover them.

        Args:
            txid: which.
            block: the block it stands in; without it, only the mempool (or a transaction index) is asked.

        Raises:
            TransactionNotFound: it is not there.
            ChainDataInvalid: the bytes are of another transaction.
        """
        ...

    async def broadcast(self, raw: bytes) -> TxId:
        """Hand a transaction to every node. One that is already in the mempool or the chain is a success.

        Raises:
            BroadcastRejected: no node took it; `FeeTooLow` where a higher fee would have helped.
        """
        ...

    async def fee_rate(self, *, target_blocks: int) -> FeeRate:
        """The estimate for confirmation within `target_blocks`: the median of the nodes' words."""
        ...

    async def unspent(self, scripts: Collection[ScriptPubKey]) -> UnspentSet:
        """Every unspent output at `scripts`. Slow on a large chain: for reconciliation, not for decisions."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenState:
    """An externally owned account at one block, proven against that block's state root (EIP-1186)."""

    address: EthereumAddress
    block: BlockRef
    balance: Wei
    nonce: int
    """How many transactions it has sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeQuote:
    """What a transfer costs now (EIP-1559)."""

    base_fee_per_gas_wei: int
    """Of the next block; it moves by at most an eighth per block."""
    priority_fee_per_gas_wei: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """An Ethereum transaction stands in a block of the canonical chain."""

    block: BlockHeader
    succeeded: bool
    """False: nothing arrived, and the fee was paid."""
    fee: Wei
    """Gas used times effective gas price."""


class EthereumChain(Protocol):
    """The Ethereum chain as custody's own nodes agree on it. Raises as `BitcoinChain`."""

    async def head(self) -> BlockHeader:
        """The highest block the nodes agree on. It can still be reorganised."""
        ...

    async def finalised(self) -> BlockHeader:
        """The highest finalised block the nodes agree on.

        Raises:
            BlockNotFound: nothing is final yet.
        """
        ...

    async def block_at(self, height: int) -> BlockHeader:
        """The canonical block at `height`.

        Raises:
            BlockNotFound: the chain is shorter.
        """
        ...

    async def account_at(self, address: EthereumAddress, block: BlockHeader) -> ProvenState:
        """Balance and nonce after `block`, proven against its state root.

        Raises:
            BlockNotFound: the node has no state of that block (pruned, or reorganised away).
            ChainDataInvalid: the proof does not verify, or the account has code.
        """
        ...

    async def fee_quote(self) -> FeeQuote:
        """The fees a transaction needs now: the median of the nodes' words."""
        ...

    async def broadcast(self, raw: bytes) -> TxId:
        """Hand a signed transaction to every node. One that is already known or executed is a success.

        Raises:
            BroadcastRejected: no node took it; `FeeTooLow` where a higher fee would have helped.
        """
        ...

    async def executed(self, tx_hash: TxId) -> Executed | None:
        """What became of a transaction; `None` while it is in no block.

        Args:
            tx_hash: 32 bytes in hexadecimal without 0x, as a Bitcoin id is written.
        """
        ...


class ChainError(Exception):
    """The chain gave no usable answer. Nothing was decided; the step is repeated later."""


class ChainUnavailable(ChainError):
    """Too few nodes answered in time."""

    def __init__(self, *, answered: int, needed: int, causes: Sequence[str]) -> None:
        """Say how many answered, how many the deployment asks for, and what the others said."""
        super().__init__(f"{answered} of {needed} needed nodes answered: {'; '.join(causes)}")


class NodesDisagree(ChainError):
    """Nodes answered differently: values are disputed and nothing leaves until they agree."""

    def __init__(self, *, subject: str, answers: Sequence[str]) -> None:
        """Say what was asked, and the different answers."""
        super().__init__(f"{subject}: {' / '.join(answers)}")


class WrongNetwork(ChainError):
    """A node is of another chain than this deployment. It is never used."""


class BlockNotFound(ChainError):
    """The block is not, or no longer, on the chain."""


class TransactionNotFound(ChainError):
    """The transaction is neither in the mempool nor in the block that was named."""


class ChainDataInvalid(ChainError):
    """A node's answer does not prove what it says."""


class BroadcastRejected(ChainError):
    """No node accepted the transaction.

    Attributes:
        reasons: what they said.
    """

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = tuple(reasons)


class FeeTooLow(BroadcastRejected):
    """No node accepted the transaction, and one of them said that it would for a higher fee."""
